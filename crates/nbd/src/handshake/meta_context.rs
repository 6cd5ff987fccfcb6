//! Listing and choosing metadata contexts.
//!
//! A query is the full name of a context, or names several: a namespace and its colon alone (`base:`, `ashlar:`), or
//! `ashlar:changed-since:` with nothing or `*` behind it. Lists take all of these; to choose, what is chosen must be
//! said: a full name, or `*`.

use crate::codec::{MetaContextRequest, OptionDataError, OptionReply};
use crate::contexts::{ALLOCATION, CHANGED_SINCE, CONTEXTS_MAX, Context};
use crate::exports::Lease;

use super::{Negotiation, refuse};

/// The contexts that were chosen, and the export that they were chosen for.
pub(super) struct Chosen {
    pub(super) export: String,
    pub(super) contexts: Vec<Context>,
}

impl Negotiation<'_> {
    pub(super) fn meta_context(
        &mut self,
        data: &[u8],
        choose: bool,
        reply: &mut impl FnMut(OptionReply<'_>),
    ) {
        if choose {
            // Whatever comes of it, the choice before is void.
            self.chosen = None;
        }
        if !self.style.has_chunks() {
            reply(OptionReply::Invalid("metadata contexts need structured replies: agree on them first"));
            return;
        }
        let request = match MetaContextRequest::decode(data) {
            Ok(request) => request,
            Err(OptionDataError(text)) => return reply(OptionReply::Invalid(text)),
        };
        let lease = match self.open(request.name) {
            Ok(lease) => lease,
            Err(error) => return refuse(&error, reply),
        };
        let names = matching(&request.queries, choose, lease);
        if !choose {
            names.iter().for_each(|name| reply(OptionReply::MetaContext(0, name)));
            return reply(OptionReply::Ack);
        }
        let found = names.into_iter().filter_map(|name| Some((Context::of(lease, &name)?, name)));
        // One more than may be chosen is as good as thousands.
        let found: Vec<_> = found.take(CONTEXTS_MAX + 1).collect();
        if found.len() > CONTEXTS_MAX {
            return reply(OptionReply::TooBig("too many metadata contexts at once: choose fewer"));
        }
        let mut contexts = Vec::with_capacity(found.len());
        for (context, name) in found {
            contexts.push(context);
            reply(OptionReply::MetaContext(contexts.len() as u32, &name));
        }
        reply(OptionReply::Ack);
        self.chosen = Some(Chosen { export: request.name.to_owned(), contexts });
    }
}

/// The full names of the contexts that the queries name, each once. To list, no query means all.
fn matching(queries: &[&str], choose: bool, lease: &dyn Lease) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let all_changes = || lease.ancestors().into_iter().map(|snapshot| format!("{CHANGED_SINCE}{snapshot}"));
    if !choose && queries.is_empty() {
        add(ALLOCATION.to_owned());
        all_changes().for_each(&mut add);
    }
    for query in queries {
        match *query {
            ALLOCATION => add(ALLOCATION.to_owned()),
            "base:" if !choose => add(ALLOCATION.to_owned()),
            "ashlar:" | CHANGED_SINCE if !choose => all_changes().for_each(&mut add),
            _ => match query.strip_prefix(CHANGED_SINCE) {
                Some("*") => all_changes().for_each(&mut add),
                Some(snapshot) if lease.changes_since(snapshot).is_some() => add((*query).to_owned()),
                // Names that nobody knows name nothing, as the protocol wants.
                Some(_) | None => {}
            },
        }
    }
    names
}
