//! Connections of hostile clients: bytes in any order.

use std::{fs, io, net::Ipv4Addr, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Server that connections are made to, and the address of this machine that they come from: the connections of one
/// address are limited.
#[derive(Clone)]
pub struct Wire {
    to: SocketAddr,
    from: Ipv4Addr,
    ca: Arc<RootCertStore>,
}

/// Protocol that the client offers inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Only HTTP/1.1 is offered.
    Http1,
    /// Only HTTP/2 is offered.
    Http2,
}

impl Wire {
    /// Makes a client of a server whose certificate a CA in this file issued for `localhost`.
    pub fn new(to: SocketAddr, from: Ipv4Addr, ca: &Path) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&fs::read(ca).unwrap()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        Self { to, from, ca: Arc::new(roots) }
    }

    /// Returns the same from another address.
    #[must_use]
    pub fn from(&self, from: Ipv4Addr) -> Self {
        Self { from, ..self.clone() }
    }

    /// Opens a connection on which nothing was sent.
    pub async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        socket.connect(self.to).await
    }

    /// Opens a connection with the handshake done.
    pub async fn tls(&self, protocol: Protocol) -> io::Result<TlsStream<TcpStream>> {
        let mut config =
            ClientConfig::builder().with_root_certificates(self.ca.clone()).with_no_client_auth();
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.tcp().await?).await
    }

    /// Sends these bytes on a connection of their own, and returns the answer until the other side closes it.
    pub async fn exchange(&self, protocol: Protocol, said: &[u8]) -> io::Result<Vec<u8>> {
        let stream = self.tls(protocol).await?;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let mut answer = Vec::new();
        // Whoever hangs up in the middle has answered before.
        let write = async {
            let _ = writing.write_all(said).await;
            let _ = writing.flush().await;
        };
        let read = async { while let Ok(1..) = reading.read_buf(&mut answer).await {} };
        tokio::join!(write, read);
        Ok(answer)
    }
}
