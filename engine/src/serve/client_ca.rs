//! The authorities that may vouch for clients: a PEM bundle in a file, taken up anew when it changes. One
//! that cannot be used never replaces one that can.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::authority::{Trust, TrustError};

/// The bundle is not to be used.
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
    pem: Vec<u8>,
}

impl ClientCa {
    /// Who is trusted from now on; none where that is who was trusted before.
    pub(super) fn read(&mut self, path: &Path) -> Result<Option<Trust>, ClientCaError> {
        let pem = fs::read(path).map_err(|source| ClientCaError::Read { path: path.to_owned(), source })?;
        if pem == self.pem {
            return Ok(None);
        }
        let trust =
            Trust::in_bundle(&pem).map_err(|source| ClientCaError::Use { path: path.to_owned(), source })?;
        self.pem = pem;
        Ok(Some(trust))
    }

    /// Whether there was ever one that could be used.
    pub(super) fn is_loaded(&self) -> bool {
        !self.pem.is_empty()
    }
}
