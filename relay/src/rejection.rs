//! Reasons why a sender is not verified.

/// Reason for which a request is refused. Metrics show it; the sender does not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The sender's address is not in the source's `allowFrom`.
    Address,
    /// The source has no usable secret to compare with.
    NoSecret,
    /// A header that proves the sender is missing.
    Missing,
    /// A header that proves the sender is there twice.
    Repeated,
    /// The proof does not have the form that the sender writes.
    Malformed,
    /// The signed time is too far from now.
    Time,
    /// The proof is not valid for this request.
    Wrong,
    /// The certificate that the proof needs cannot be fetched, or is not trusted.
    NoCertificate,
}

impl Rejection {
    /// Every reason of a rejection.
    pub const ALL: [Self; 8] = [
        Self::Address,
        Self::NoSecret,
        Self::Missing,
        Self::Repeated,
        Self::Malformed,
        Self::Time,
        Self::Wrong,
        Self::NoCertificate,
    ];

    /// Returns the value of the metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::NoSecret => "no_secret",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Malformed => "malformed",
            Self::Time => "time",
            Self::Wrong => "wrong",
            Self::NoCertificate => "no_certificate",
        }
    }
}
