//! What stands behind the wire: each product's handlers over one set of rules. No rule lives here.
//!
//! A product has a file with its table of handlers (`cbs`, `sts`) and a folder with a file a noun.

pub(crate) mod error;
pub(crate) mod pack;
#[cfg(test)]
mod situations;
#[cfg(test)]
pub(crate) mod wire;

use ashlar_control::{Control, ControlError};

/// The actions of all products over the rules.
pub(crate) struct Service {
    pub(crate) control: Control,
}

impl Service {
    /// The actions over these rules.
    pub(crate) const fn new(control: Control) -> Self {
        Self { control }
    }
}

/// What every handler gives before its refusal is translated.
pub(crate) type Handled<T> = Result<T, ControlError>;

/// Sends each method of a product's trait to the function of the same name in the file of its noun. The lines
/// stand in the order of the product's table.
macro_rules! handlers {
    ($api:ident, $action:ident of $module:ident {
        $($noun:ident::$method:ident($request:ident) -> $response:ident;)+
    }) => {
        impl $api for $crate::service::Service {
            $(async fn $method(
                &self,
                caller: &ashlar_api::Caller,
                request: $module::$request,
            ) -> Result<$module::$response, ashlar_api::ApiError> {
                let caller = $crate::service::pack::caller(caller);
                let handled = $noun::$method(&self.control, &caller, request).await;
                handled.map_err(|refusal| $crate::service::error::answer($action::$request.into(), refusal))
            })+
        }
    };
}

pub(crate) use handlers;
