//! Trunks over connections: a far end behind TCP, and one behind TLS with a certificate of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::{Stage, at, port};
use crate::phone::Ear;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};
use crate::sip::Message;

/// What a far end has been told, one line a request, by the number of its connection.
type Told = Arc<Mutex<Vec<(usize, String)>>>;

/// A far end that answers every call by this session description.
async fn far_end(
    tls: Option<TlsAcceptor>,
    transport: &'static str,
    sdp: String,
) -> (SocketAddr, Told) {
    let listener = TcpListener::bind(at(port())).await.unwrap();
    let (address, told) = (listener.local_addr().unwrap(), Told::default());
    let kept = Arc::clone(&told);
    tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((stream, _)) = listener.accept().await {
            connections += 1;
            let contact = format!("<sip:callee@{address};transport={transport}>");
            let call =
                Call { connection: connections, contact, sdp: sdp.clone(), told: kept.clone() };
            match tls.clone() {
                None => drop(tokio::spawn(call.lead(stream))),
                Some(tls) => {
                    let stream = tls.accept(stream).await.expect("the program speaks TLS");
                    drop(tokio::spawn(call.lead(stream)));
                }
            }
        }
    });
    (address, told)
}

struct Call {
    connection: usize,
    contact: String,
    sdp: String,
    told: Told,
}

impl Call {
    async fn lead(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (mut received, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            match stream.read(&mut piece).await {
                Ok(length) if length > 0 => received.extend_from_slice(&piece[..length]),
                _ => return,
            }
            while let Some(request) = cut(&mut received) {
                let method = request.method().to_owned();
                self.told.lock().unwrap().push((self.connection, method.clone()));
                let ok = request.response(200, "OK", "callee").with("Contact", &self.contact);
                let answer = match method.as_str() {
                    "ACK" => continue,
                    "INVITE" => ok.with_sdp(&self.sdp),
                    _ => ok,
                };
                stream.write_all(&answer.bytes()).await.unwrap();
            }
        }
    }
}

/// The first message of a stream, by its Content-Length.
fn cut(received: &mut Vec<u8>) -> Option<Message> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let message = Message::read(&received[..head])?;
    let length: usize = message.header("Content-Length").parse().unwrap();
    if received.len() < head + length {
        return None;
    }
    let whole: Vec<u8> = received.drain(..head + length).collect();
    Message::read(&whole)
}

/// A call by way of connections, all of it over one of them.
async fn call_is_led(server: Server, customer: &Customer, told: &Told) {
    queue(&server, customer, NUMBER).await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.until_quiet().await;
    server.stop().await;
    let told = told.lock().unwrap();
    let of_call: Vec<_> = told.iter().filter(|one| one.1 != "OPTIONS").collect();
    let methods: Vec<&str> = of_call.iter().map(|one| one.1.as_str()).collect();
    assert_eq!(methods, ["INVITE", "ACK", "BYE"]);
    assert!(of_call.iter().all(|one| one.0 == of_call[0].0), "several connections: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_behind_tcp_is_called_over_one_connection() {
    let stage = Stage::new();
    let ear = Ear::open().await;
    let (address, told) = far_end(None, "tcp", ear.sdp()).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = Settings { trunk: "transport = \"tcp\"\n".into(), ..Settings::default() };
    let server = Server::start(&stage, address, &settings).await;
    call_is_led(server, &customer, &told).await;
}

/// Makes a certificate for `localhost`: `phone.pem` in the stage, with its key.
pub(crate) fn certify(stage: &Stage) {
    drop(tls(stage));
}

/// Settings of a trunk that is reached over TLS, by that certificate.
pub(crate) fn over_tls(trunk: &str) -> Settings {
    Settings {
        host: Some("localhost"),
        trunk: format!("transport = \"tls\"\n{trunk}"),
        sip: "ca_file = \"sip-ca.pem\"\n",
        ..Settings::default()
    }
}

/// TLS for `localhost` by a certificate that only `sip-ca.pem` in the stage vouches for.
fn tls(stage: &Stage) -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    stage.write("sip-ca.pem", cert.pem());
    stage.write("phone.pem", cert.pem() + &signing_key.serialize_pem());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_behind_tls_is_called_if_its_certificate_is_vouched_for() {
    let stage = Stage::new();
    let ear = Ear::open().await;
    let (address, told) = far_end(Some(tls(&stage)), "tls", ear.sdp()).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let server = Server::start(&stage, address, &over_tls("")).await;
    call_is_led(server, &customer, &told).await;
}
