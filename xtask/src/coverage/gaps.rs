//! What the vendor's description has and ours lacks or says otherwise.

use std::collections::BTreeSet;
use std::fmt;

use super::description::{Description, Direction, Member, Members};

/// One difference, named so that it stays the same from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// The action does not exist here.
    Action { product: String, name: String },
    /// A parameter or field of an action that does exist.
    Member { product: String, action: String, direction: Direction, path: String, fault: Fault },
}

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Missing,
    /// The vendor's JSON type and ours.
    Type {
        vendor: String,
        ours: String,
    },
    /// Required here, optional there: a call that the vendor takes is refused.
    Stricter,
    /// Optional here, required there.
    Laxer,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action { product, name } => write!(f, "{product} {name}"),
            Self::Member { product, action, direction, path, fault } => {
                let direction = match direction {
                    Direction::Request => "request",
                    Direction::Response => "response",
                };
                write!(f, "{product} {action} {direction} {path}: {fault}")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Type { vendor, ours } => write!(f, "{ours} instead of {vendor}"),
            Self::Stricter => f.write_str("required here"),
            Self::Laxer => f.write_str("not required here"),
        }
    }
}

/// All gaps of a product, in order. Members that only we have are extras and no gaps.
pub(super) fn find(product: &str, vendor: &Description, ours: &Description) -> BTreeSet<Gap> {
    let mut gaps = BTreeSet::new();
    for (name, theirs) in &vendor.actions {
        let Some(here) = ours.actions.get(name) else {
            gaps.insert(Gap::Action { product: product.to_owned(), name: name.clone() });
            continue;
        };
        let sides = [
            (Direction::Request, &theirs.input, &here.input),
            (Direction::Response, &theirs.output, &here.output),
        ];
        for (direction, theirs, here) in sides {
            let mut walk =
                Walk { product, vendor, ours, action: name, direction, open: Vec::new(), gaps: &mut gaps };
            walk.members("", &vendor.members(direction, theirs), &ours.members(direction, here));
        }
    }
    gaps
}

struct Walk<'a> {
    product: &'a str,
    vendor: &'a Description,
    ours: &'a Description,
    action: &'a str,
    direction: Direction,
    /// The vendor's objects that are being looked into: one that holds itself is looked into once.
    open: Vec<String>,
    gaps: &'a mut BTreeSet<Gap>,
}

impl Walk<'_> {
    fn members(&mut self, prefix: &str, theirs: &Members, here: &Members) {
        for (name, member) in theirs {
            let path = format!("{prefix}{name}");
            match here.get(name) {
                None => self.add(path, Fault::Missing),
                Some(ours) => self.member(path, member, ours),
            }
        }
    }

    fn member(&mut self, path: String, theirs: &Member, here: &Member) {
        let (vendor, ours) = (theirs.shape.json_type(), here.shape.json_type());
        if vendor != ours {
            self.add(path, Fault::Type { vendor, ours });
            return;
        }
        if self.direction == Direction::Request && theirs.required != here.required {
            self.add(path.clone(), if here.required { Fault::Stricter } else { Fault::Laxer });
        }
        let (Some(inner), Some(ours)) = (theirs.shape.object(), here.shape.object()) else { return };
        if self.open.iter().any(|name| name == inner) {
            return;
        }
        let (inner_members, our_members) =
            (self.vendor.members(self.direction, inner), self.ours.members(self.direction, ours));
        self.open.push(inner.to_owned());
        self.members(&format!("{path}."), &inner_members, &our_members);
        self.open.pop();
    }

    fn add(&mut self, path: String, fault: Fault) {
        let (product, action) = (self.product.to_owned(), self.action.to_owned());
        let direction = self.direction;
        self.gaps.insert(Gap::Member { product, action, direction, path, fault });
    }
}
