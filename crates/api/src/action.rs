//! The actions: what is said about one, and the macros behind the tables of the products.
//!
//! Each product has a folder with its wire types and its table (`cbs/actions.rs`): one line says everything
//! about an action that is not in its types. The product's enumeration, its trait and the dispatch between
//! them follow from the table; [`Action`] and [`CloudApi`] put the products together. A call is routed by its
//! action and version alone: hosts and credential scopes name no product here.

use crate::caller::Caller;
use crate::decode::{Decode, Location};
use crate::encode::{Encode, EncodeObject, ObjectWriter, write_quoted};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::resource::Resource;
use crate::schema::{ActionSchema, Rules};
use crate::value::Value;
use crate::{cbs, cvm, cwp, lighthouse, sts, tag};

/// What the tables say about an action.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    /// The product, as policies name it.
    pub product: &'static str,
    /// The version of the product's API.
    pub version: &'static str,
    /// The action's name.
    pub name: &'static str,
    /// The documented rate for one account, per second. Source: reference `common/02-api-category`.
    pub requests_per_second: u32,
    /// Whether it changes anything.
    pub writes: bool,
    /// Whether it cannot be taken back: callers with a device are asked for a one-time code.
    pub is_sensitive: bool,
    /// False for what anybody with a key may ask.
    pub needs_right: bool,
    /// The resources that the caller needs a right to. None: the right is to the action as a whole.
    pub resources: &'static [Resource],
    /// The codes that the reference lists for it, beside those that every action may answer.
    pub error_codes: &'static [ErrorCode],
}

/// Declares the actions of one product: its enumeration, its trait and the dispatch between them.
///
/// A line reads `NAME method -> RESPONSE, RATE per second, reads|writes|sensitive|public [RESOURCES];` where a resource is
/// `KIND("PARAMETER")`, `KIND("PARAMETER" or all)` or `KIND(all)`; see [`Resource`]. The lines stand in the
/// order of their names.
macro_rules! product {
    (
        $title:literal, $variant:ident $product:literal $version:literal: $action:ident, $api:ident {
            $($name:ident $method:ident -> $response:ident, $rate:literal per second,
                $access:ident [$($kind:ident $parameter:tt),*];)+
        }
    ) => {
        #[doc = concat!("An action of ", $title, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $action { $(#[doc = concat!("`", stringify!($name), "`.")] $name,)+ }

        impl $action {
            /// Every action of the product, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// What the table says about it.
            #[must_use]
            pub const fn spec(self) -> &'static $crate::ActionSpec {
                match self { $(Self::$name => const { &$crate::ActionSpec {
                    product: $product,
                    version: $version,
                    name: stringify!($name),
                    requests_per_second: $rate,
                    writes: $crate::action::Access::$access.writes(),
                    is_sensitive: $crate::action::Access::$access.is_sensitive(),
                    needs_right: $crate::action::Access::$access.needs_right(),
                    resources: &[$($crate::resource::resource!($kind $parameter)),*],
                    error_codes: $crate::action::codes_of(super::errors::CODES, stringify!($name)),
                } },)+ }
            }

            /// What it takes and gives.
            #[must_use]
            pub const fn schema(self) -> $crate::ActionSchema {
                use $crate::{DecodeObject, EncodeObject};
                match self { $(Self::$name => $crate::ActionSchema {
                    action: $crate::Action::$variant(self),
                    input: <super::$name as DecodeObject>::OBJECT,
                    output: <super::$response as EncodeObject>::OBJECT,
                },)+ }
            }
        }

        #[doc = concat!("What stands behind the wire of ", $title, ": one method an action.")]
        ///
        /// A method gets a request that is valid in itself, and answers what has happened.
        pub trait $api: Send + Sync {
            $(
                #[doc = concat!("See the request, `", stringify!($name), "`.")]
                fn $method(
                    &self,
                    caller: &$crate::Caller,
                    request: super::$name,
                ) -> impl Future<Output = Result<super::$response, $crate::ApiError>> + Send;
            )+
        }

        /// Decodes the request of `action`, waits for the permit, calls it, and gives the body of the answer.
        pub(crate) async fn dispatch<A: $api>(
            api: &A,
            action: $action,
            caller: &$crate::Caller,
            parameters: $crate::Value,
            permit: impl Future<Output = Result<(), $crate::ApiError>> + Send,
        ) -> Result<String, $crate::ApiError> {
            match action { $($action::$name => {
                let request = $crate::action::decoded(parameters)?;
                permit.await?;
                let response = api.$method(caller, request).await?;
                Ok($crate::action::success_body(&response, caller))
            })+ }
        }
    };
}

pub(crate) use product;

/// The word of a table's line that says what an action does to what it touches.
#[allow(non_camel_case_types, reason = "the words stand in the tables as they are")]
pub(crate) enum Access {
    /// Changes nothing.
    reads,
    /// Changes something.
    writes,
    /// Changes something in a way that cannot be taken back: a one-time code is asked for.
    sensitive,
    /// Changes nothing and is everybody's.
    public,
}

impl Access {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::writes | Self::sensitive)
    }

    pub(crate) const fn is_sensitive(&self) -> bool {
        matches!(self, Self::sensitive)
    }

    pub(crate) const fn needs_right(&self) -> bool {
        !matches!(self, Self::public)
    }
}

/// The codes that a product's table lists for an action, none where it leaves the action out.
pub(crate) const fn codes_of(
    table: &'static [(&'static str, &'static [ErrorCode])],
    name: &str,
) -> &'static [ErrorCode] {
    let mut index = 0;
    while index < table.len() {
        if is_same(table[index].0.as_bytes(), name.as_bytes()) {
            return table[index].1;
        }
        index += 1;
    }
    &[]
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

/// Puts the products together.
macro_rules! products {
    ($($variant:ident($module:ident::$action:ident, $api:ident);)+) => {
        /// An action that exists, of any product.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $(#[doc = concat!("Of `", stringify!($module), "`.")] $variant($module::$action),)+ }

        impl Action {
            /// Every action, product after product.
            pub fn all() -> impl Iterator<Item = Self> {
                let none = std::iter::empty();
                $(let none = none.chain($module::$action::ALL.iter().copied().map(Self::$variant));)+
                none
            }

            /// What the table says about it.
            #[must_use]
            pub const fn spec(self) -> &'static ActionSpec {
                match self { $(Self::$variant(action) => action.spec(),)+ }
            }

            /// What it takes and gives.
            #[must_use]
            pub const fn schema(self) -> ActionSchema {
                match self { $(Self::$variant(action) => action.schema(),)+ }
            }
        }

        $(impl From<$module::$action> for Action {
            fn from(action: $module::$action) -> Self {
                Self::$variant(action)
            }
        })+

        /// What stands behind the wire: every product.
        pub trait CloudApi: Send + Sync $(+ $module::$api)+ {}

        impl<T: Send + Sync $(+ $module::$api)+> CloudApi for T {}

        /// Decodes the request of `action`, waits for the permit, calls it, and gives the body of the answer.
        pub(crate) async fn dispatch<A: CloudApi>(
            api: &A,
            action: Action,
            caller: &Caller,
            parameters: Value,
            permit: impl Future<Output = Result<(), ApiError>> + Send,
        ) -> Result<String, ApiError> {
            match action { $(
                Action::$variant(action) => $module::dispatch(api, action, caller, parameters, permit).await,
            )+ }
        }
    };
}

products! {
    Cbs(cbs::CbsAction, CbsApi);
    Cvm(cvm::CvmAction, CvmApi);
    Cwp(cwp::CwpAction, CwpApi);
    Lighthouse(lighthouse::LighthouseAction, LighthouseApi);
    Sts(sts::StsAction, StsApi);
    Tag(tag::TagAction, TagApi);
}

impl Action {
    /// The action with this name in this version. No two products have the same name in the same version.
    pub(crate) fn find(name: &str, version: &str) -> Option<Self> {
        Self::all().find(|action| action.spec().name == name && action.spec().version == version)
    }

    /// Whether an action has this name in any version.
    pub(crate) fn is_name(name: &str) -> bool {
        Self::all().any(|action| action.spec().name == name)
    }
}

/// The typed request behind the parameters.
pub(crate) fn decoded<T: Decode>(parameters: Value) -> Result<T, ApiError> {
    T::decode(parameters, &Location::REQUEST, &Rules::NONE)
}

/// `{"Response":{...,"RequestId":"..."}}`.
pub(crate) fn success_body(response: &impl EncodeObject, caller: &Caller) -> String {
    let mut body = String::from("{\"Response\":");
    let mut members = ObjectWriter::begin(&mut body);
    response.encode_members(&mut members);
    members.member("RequestId", &caller.request_id);
    members.end();
    body.push('}');
    body
}

impl Encode for crate::caller::RequestId {
    const SHAPE: crate::schema::Shape = <String as Encode>::SHAPE;

    fn encode(&self, out: &mut String) {
        write_quoted(out, self);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cbs::CbsAction;

    #[test]
    fn an_action_and_its_version_name_one_product() {
        let mut seen = BTreeSet::new();
        for action in Action::all() {
            let spec = action.spec();
            assert!(seen.insert((spec.name, spec.version)), "{spec:?}");
            assert_eq!(Action::find(spec.name, spec.version), Some(action));
        }
    }

    #[test]
    fn the_tables_stand_in_the_order_of_names() {
        let names: Vec<_> = Action::all().map(|action| (action.spec().product, action.spec().name)).collect();
        assert!(names.is_sorted_by(|one, next| one.0 != next.0 || one.1 < next.1), "{names:?}");
    }

    #[test]
    fn names_are_known_in_their_version_only() {
        assert_eq!(Action::find("CreateDisks", "2017-03-12"), Some(CbsAction::CreateDisks.into()));
        assert_eq!(Action::find("CreateDisks", "2018-03-12"), None);
        assert_eq!(Action::find("GetCallerIdentity", "2017-03-12"), None);
        assert!(Action::is_name("CreateDisks"));
        assert!(!Action::is_name("createDisks"));
    }
}
