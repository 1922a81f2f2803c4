//! TLS: who is believed, and who is not.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn client_trusting(authority: &Authority) -> HttpClient {
    let mut policy = HttpPolicy::default().with_loopback();
    policy.extra_roots = vec![authority.root()];
    client_with(policy, |_| vec![LOOPBACK])
}

#[tokio::test]
async fn server_with_a_certificate_of_a_trusted_authority_is_reached() {
    let authority = Authority::new("ours");
    let tls = authority.server("app.example", |_| {});
    let server = Server::start_with(Some(tls), |_| ok("secret")).await;
    let client = client_trusting(&authority);
    for _ in 0..3 {
        let url = server.url_as("https", "app.example", "/");
        assert_eq!(got(&client, page(url)).await, "200 secret");
    }
    assert_eq!(server.connections(), 1);
    let dotted = server.url_as("https", "app.example.", "/");
    assert_eq!(got(&client, page(dotted)).await, "200 secret");
}

#[tokio::test]
async fn certificate_that_is_not_right_is_no_connection() {
    let authority = Authority::new("ours");
    let stranger = Authority::new("stranger");
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    let cases = [
        (stranger.server("app.example", |_| {}), "UnknownIssuer"),
        (authority.server("app.example", expired), "expired"),
        (authority.server("other.example", |_| {}), "not valid for name"),
    ];
    let client = client_trusting(&authority);
    for (tls, reason) in cases {
        let server = Server::start_with(Some(tls), |_| ok("secret")).await;
        let got = got(&client, page(server.url_as("https", "app.example", "/"))).await;
        assert!(got.starts_with("tls: no secure connection: ") && got.contains(reason), "{got}");
        assert!(server.heard().is_empty());
    }
}

#[tokio::test]
async fn plain_server_under_https_is_no_connection() {
    let server = Server::start(|_| ok("x")).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let speak = async {
        let (mut tcp, _) = plain.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad\r\n\r\n").await.unwrap();
        tcp
    };
    let url = Url::parse(&format!("https://app.example:{port}/")).unwrap();
    let client = client();
    let (got, _tcp) = tokio::join!(got(&client, page(url)), speak);
    assert!(got.starts_with("tls: "), "{got}");
    drop(server);
}
