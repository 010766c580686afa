//! Encrypted connections to real servers: Postgres with a certificate, Chroma behind a front that has
//! one. Whom to trust is in a file; who is not trusted, or is somebody else, gets no secret.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use servers::{ChromaServer, PASSWORD, PostgresServer};
use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{Address, Fault, Patience, Query, Record, Result, Server, Space, Spec};
use tempfile::TempDir;

/// Somebody who vouches for servers, and the file that says so.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A server's certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = TempDir::new().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("root.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(parameters, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    fn vouch_for(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn patience() -> Patience {
    Patience { pause: Duration::from_millis(1), ..Patience::default() }
}

/// That a server works, and keeps what it is given.
fn works(server: &dyn Server) {
    let mut made = server.create(&Spec::new("encrypted", 2, Space::L2)).unwrap();
    made.upsert(&[Record::new("a", vec![1.0, 0.0]), Record::new("b", vec![0.0, 1.0])]).unwrap();
    made.finish().unwrap();
    let found = made.query(&Query::new(&[vec![0.1, 0.9]], 1)).unwrap();
    assert_eq!(found[0][0].id, "b");
}

/// Asks at `host`, trusting whom the file of an authority names, and in the end nobody in
/// particular: works with the right ones, and says what is wrong with the others.
fn is_particular(
    ask: impl Fn(&str, Option<&Authority>) -> Result<Box<dyn Server>>,
    authority: &Authority,
) {
    let nobody = Authority::new("nobody");
    for (host, trusted, expected) in [
        ("127.0.0.1", Some(authority), "not valid for name"),
        ("localhost", Some(&nobody), "UnknownIssuer"),
        ("localhost", None, "UnknownIssuer"),
    ] {
        let error = ask(host, trusted).unwrap().version().unwrap_err();
        assert_eq!(error.fault(), Fault::Denied, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.next_step().unwrap().to_string().contains("sslrootcert"), "{error:?}");
        assert!(!format!("{error:?}").contains(PASSWORD));
    }
    std::fs::write(nobody.file(), "no certificate").unwrap();
    let error = ask("localhost", Some(&nobody)).and_then(|server| server.version()).unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid, "{error}");
    assert!(error.to_string().contains("root.pem"), "{error}");
}

#[test]
fn postgres_is_who_its_certificate_says() {
    let Some(server) = PostgresServer::start_with_tls() else { return };
    let authority = Authority::new("somebody");
    let identity = authority.vouch_for("localhost");
    server.encrypt(&identity.certificate, &identity.key);
    let ask = |host: &str, query: String| {
        let url = format!("postgres://postgres:{PASSWORD}@{host}:{}/postgres?{query}", server.port);
        Postgres::new(&Address::parse(&url).unwrap(), &Passwords::default(), patience())
    };
    let trusting = |host: &str, trusted: Option<&Authority>| {
        let root = trusted.map(|trusted| format!("&sslrootcert={}", trusted.file().display()));
        let client = ask(host, format!("sslmode=verify-full{}", root.unwrap_or_default()))?;
        Ok(Box::new(client) as Box<dyn Server>)
    };
    // Not every Postgres has pgvector as well; what it says comes the same way as all else.
    let client = trusting("localhost", Some(&authority)).unwrap();
    assert!(client.version().unwrap().starts_with("Postgres "));
    is_particular(trusting, &authority);
    // It does talk in cipher: it refuses everything else.
    let error = ask("localhost", "sslmode=disable".into()).unwrap().version().unwrap_err();
    assert!(error.to_string().contains("no encryption"), "{error}");
}

#[test]
fn chroma_is_who_the_certificate_before_it_says() {
    let Some(server) = ChromaServer::start() else { return };
    let authority = Authority::new("somebody");
    let front = front(server.port, &authority.vouch_for("localhost"));
    let ask = |host: &str, trusted: Option<&Authority>| {
        let root = trusted.map(|trusted| format!("?sslrootcert={}", trusted.file().display()));
        let url = format!("https://{host}:{front}/{}", root.unwrap_or_default());
        let token = SecretString::from(PASSWORD);
        let client = Chroma::new(&Address::parse(&url).unwrap(), Some(token), patience())?;
        Ok(Box::new(client) as Box<dyn Server>)
    };
    works(ask("localhost", Some(&authority)).unwrap().as_ref());
    is_particular(ask, &authority);
}

/// Takes encrypted connections and hands what is in them on to `port`; returns its own port.
fn front(port: u16, identity: &Identity) -> u16 {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust us goes away in the middle of this.
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    server.set_nonblocking(true).unwrap();
                    let mut server = tokio::net::TcpStream::from_std(server).unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    });
    own
}
