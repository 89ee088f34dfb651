//! The CA certificates of clients: a PEM bundle in a file, which is read again when it changes. A bundle that cannot be
//! used never replaces one that can. If the file is removed or no longer configured, no certificate is trusted.

use std::{fs, io, path::PathBuf, sync::Arc};

use crate::pki::{Trust, TrustError};

/// Reason for which the bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientCaError {
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be used", path.display())]
    Use {
        path: PathBuf,
        #[source]
        source: TrustError,
    },
}

/// The bundle in use.
#[derive(Debug, Default)]
pub(super) struct ClientCa {
    path: Option<PathBuf>,
    pem: Vec<u8>,
    trust: Option<Arc<Trust>>,
}

impl ClientCa {
    /// Looks at the bundle that is meant now, if one is.
    pub(super) fn read(&mut self, path: Option<PathBuf>) -> Result<(), ClientCaError> {
        if self.path != path {
            *self = Self { path, ..Self::default() };
        }
        let Some(path) = self.path.clone() else { return Ok(()) };
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(source) => {
                if source.kind() == io::ErrorKind::NotFound {
                    (self.pem, self.trust) = Default::default();
                }
                return Err(ClientCaError::Read { path, source });
            }
        };
        if pem != self.pem {
            let trust = Trust::in_bundle(&pem).map_err(|source| ClientCaError::Use { path, source })?;
            (self.pem, self.trust) = (pem, Some(Arc::new(trust)));
        }
        Ok(())
    }

    /// Returns the trusted authorities; none: no client is trusted. The same object until it changes.
    pub(super) fn trust(&self) -> Option<Arc<Trust>> {
        self.trust.clone()
    }
}
