//! The wire face of Ashlar: bytes in, bytes out. It knows no control plane, no HTTP library and no runtime.
//!
//! [`Gateway::handle`] takes a raw request through the checks in their order (size and protocol, signature
//! and time, replay, network, rate, action and version, region, decoding, rights), calls one method of [`CloudApi`], and
//! gives the answer's bytes. Each product has a module ([`cbs`], [`sts`]); each wire type is declared once,
//! and decoding, encoding and the description ([`schema()`]) follow from the declaration.

mod action;
mod caller;
pub mod cbs;
pub mod cvm;
pub mod cwp;
mod decode;
mod documented;
mod encode;
mod error;
mod error_code;
mod gateway;
pub mod lighthouse;
mod model;
mod resource;
pub mod sample;
mod schema;
pub mod signature;
pub mod sts;
pub mod tag;
mod time;
mod value;

pub use action::{Action, ActionSpec, CloudApi};
pub use caller::{Caller, RequestId};
pub use decode::{Decode, DecodeObject, IntegerFlag, Location, Members};
pub use encode::{Absent, Encode, EncodeObject, ObjectWriter, OrEmpty};
pub use error::ApiError;
pub use error_code::ErrorCode;
pub use gateway::{
    Ask, CallSummary, Gateway, GatewayConfig, Key, KeyStore, KeyToken, RateLimits, RawRequest, RawResponse,
    SecretKey, SizeLimits,
};
pub use resource::{Resource, ResourceKind, Touched};
pub use schema::{ActionSchema, Member, ObjectSchema, Rules, Shape, TextFormat, schema, schema_json};
pub use time::{Date, DateTime, IsoDateTime, UtcOffset};
pub use value::{Object, Value};
