//! TLS in front of the sandbox, with certificates made for the test.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority; clients trust it only if they are configured to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Terminates TLS and passes on what is inside.
pub struct Front {
    pub url: String,
    handshakes: Arc<Mutex<Handshakes>>,
}

#[derive(Default)]
struct Handshakes {
    begun: usize,
    /// The client's objection in each handshake that has ended.
    ended: Vec<Option<String>>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the certificate that a client is to trust.
    pub fn save(&self, file: &Path) {
        std::fs::write(file, self.0.pem()).unwrap();
    }

    fn sign(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &self.0).unwrap().der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

impl Front {
    /// Listens in front of `server` as `localhost`, whatever name its certificate is for.
    pub async fn before(
        server: &str,
        authority: &Authority,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Front {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let acceptor = TlsAcceptor::from(Arc::new(authority.sign(&params)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let front = Front { url, handshakes: Arc::default() };
        let (server, handshakes) = (server.to_owned(), Arc::clone(&front.handshakes));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                handshakes.lock().unwrap().begun += 1;
                tokio::spawn(pass(acceptor.clone(), client, server.clone(), handshakes.clone()));
            }
        });
        front
    }

    /// The client's objection in each handshake since the last call, once they have ended.
    pub async fn handshakes(&self) -> Vec<Option<String>> {
        while self.handshakes.lock().unwrap().are_under_way() {
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut *self.handshakes.lock().unwrap()).ended
    }
}

impl Handshakes {
    fn are_under_way(&self) -> bool {
        self.ended.len() < self.begun
    }
}

async fn pass(
    acceptor: TlsAcceptor,
    client: TcpStream,
    server: String,
    handshakes: Arc<Mutex<Handshakes>>,
) {
    let accepted = acceptor.accept(client).await;
    handshakes.lock().unwrap().ended.push(accepted.as_ref().err().map(ToString::to_string));
    let Ok(mut client) = accepted else { return };
    let mut server = TcpStream::connect(server).await.unwrap();
    // Either side may hang up.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
