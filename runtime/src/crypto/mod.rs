//! Cryptography that proves webhooks, in both directions: senders to sources, and the relay to destinations. Secrets
//! are compared in constant time.

mod mac;
pub mod signed_header;
pub mod standard_webhooks;
mod verified_public_key;

pub use mac::{MacKey, Tag, Token};
pub use verified_public_key::{CertificateError, VerifiedPublicKey};
