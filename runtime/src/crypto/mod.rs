//! What webhooks are proven with, whichever way they go: senders to sources here, the relay to destinations there.
//! Nothing here compares secrets in a time that depends on them.

mod mac;
pub mod signed_header;
pub mod standard_webhooks;
mod verified_public_key;

pub use mac::{MacKey, Tag, Token};
pub use verified_public_key::{CertificateError, VerifiedPublicKey};
