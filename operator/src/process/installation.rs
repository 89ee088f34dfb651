//! The installation that an operator is part of.

use std::fmt::{self, Display, Formatter};

/// An operator installation: all operators that elect one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Namespace of the Lease by which they elect it.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
}

impl Installation {
    /// Returns the installation of this name; none if it is not the name of one.
    pub fn parse(name: &str) -> Option<Self> {
        let (namespace, lease) = name.split_once('/')?;
        let is_name = |part: &str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !part.is_empty() && part.bytes().all(is_allowed)
        };
        (is_name(namespace) && is_name(lease))
            .then(|| Self { namespace: namespace.to_owned(), lease: lease.to_owned() })
    }
}

impl Display for Installation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_that_names_no_lease_is_of_nobody() {
        let system = Installation { namespace: "visnyk-system".into(), lease: "visnyk-operator".into() };
        assert_eq!(Installation::parse(&system.to_string()), Some(system));
        for name in ["", "visnyk-system", "/visnyk-operator", "a/", "a/b/c", "a/../b", "A/b", "a/b?c"] {
            assert_eq!(Installation::parse(name), None, "{name}");
        }
    }
}
