//! Reasons why a sender is not verified.

/// Reason of a refusal: for metrics, and never for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is not where the source's senders are.
    Address,
    /// There is no secret to compare with.
    NoSecret,
    /// A header that proves the sender is not there.
    Missing,
    /// It is there twice.
    Repeated,
    /// It is not written as the sender writes it.
    Malformed,
    /// The signed time is too far from now.
    Time,
    /// The proof is of something else.
    Wrong,
    /// The certificate that the proof needs cannot be had, or is not trusted.
    NoCertificate,
}

impl Rejection {
    /// Every one that there is.
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

    /// As a metric's label.
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
