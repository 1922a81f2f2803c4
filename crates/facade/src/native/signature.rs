//! Signatures of what our own API posts: Standard Webhooks 1.0.0. docs/webhooks.md.

use base64ct::{Base64, Encoding as _};
use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::webhook::KeyPair;
use hmac::{Hmac, Mac as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::Sha256;

/// What a shared secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// What a public key begins with.
const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// The three headers by which a server knows what it is told, in lower case, and their values.
///
/// The id is the same at every delivery; `now` is the moment of this one. Keys that have expired
/// sign nothing; where none is left, nothing is signed.
pub fn headers(
    keys: &[KeyPair],
    webhook: WebhookId,
    now: Timestamp,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let (id, timestamp) = (message_id(webhook), now.as_seconds());
    let mut headers =
        vec![("webhook-id", id.clone()), ("webhook-timestamp", timestamp.to_string())];
    let signatures: Vec<String> = keys
        .iter()
        .filter(|key| key.signs(now))
        .flat_map(|key| signatures(key, &id, timestamp, body))
        .collect();
    if !signatures.is_empty() {
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    headers
}

/// The id of a webhook as servers see it. It has no dot, for dots part what is signed.
pub fn message_id(webhook: WebhookId) -> String {
    format!("msg_{webhook}")
}

/// The webhook of this id, as servers see it.
pub fn webhook_of(message_id: &str) -> Option<WebhookId> {
    message_id.strip_prefix("msg_")?.parse().ok()
}

/// The shared secret as the client is shown it, once.
pub fn secret(key: &KeyPair) -> String {
    format!("{SECRET_PREFIX}{}", Base64::encode_string(&key.secret))
}

/// The public key, by which a server verifies without a secret of its own.
pub fn public_key(key: &KeyPair) -> String {
    let public =
        private_key(key).map(|private| Base64::encode_string(private.public_key().as_ref()));
    format!("{PUBLIC_KEY_PREFIX}{}", public.unwrap_or_default())
}

/// One signature by the secret and one by the private key.
fn signatures(key: &KeyPair, id: &str, timestamp: i64, body: &[u8]) -> Vec<String> {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let symmetric = format!("v1,{}", Base64::encode_string(&mac(&key.secret, &signed)));
    let asymmetric = private_key(key)
        .map(|private| format!("v1a,{}", Base64::encode_string(private.sign(&signed).as_ref())));
    [Some(symmetric), asymmetric].into_iter().flatten().collect()
}

fn mac(secret: &[u8], signed: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a secret of any length");
    mac.update(signed);
    mac.finalize().into_bytes().into()
}

/// The private key of a seed. Every 32 bytes are one, so it is always there.
fn private_key(key: &KeyPair) -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&key.seed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    const NOW: Timestamp = Timestamp::from_seconds(1_614_265_330);

    fn key(nth: u8) -> KeyPair {
        KeyPair::new([nth; 32], [nth.wrapping_add(100); 32])
    }

    fn signature(keys: &[KeyPair]) -> Option<String> {
        let headers = headers(keys, WebhookId(7), NOW, b"{}");
        headers.into_iter().find(|header| header.0 == "webhook-signature").map(|header| header.1)
    }

    #[test]
    fn secret_of_the_specification_signs_as_it_says() {
        let secret = Base64::decode_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = Base64::encode_string(&mac(&secret, signed));
        assert_eq!(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn private_key_of_the_rfc_has_the_public_key_that_it_says() {
        // RFC 8032 §7.1, TEST 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let public = public_key(&KeyPair::new([0; 32], seed));
        assert_eq!(public, "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn each_key_signs_by_its_secret_and_by_its_private_key() {
        let signature = signature(&[key(1)]).unwrap();
        let (symmetric, asymmetric) = signature.split_once(' ').unwrap();
        let mac = mac(&[1; 32], b"msg_7.1614265330.{}");
        assert_eq!(symmetric, format!("v1,{}", Base64::encode_string(&mac)));
        let bytes = Base64::decode_vec(asymmetric.strip_prefix("v1a,").unwrap()).unwrap();
        let public = public_key(&key(1));
        let public = Base64::decode_vec(public.strip_prefix("whpk_").unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, public);
        assert!(public.verify(b"msg_7.1614265330.{}", &bytes).is_ok());
        assert!(public.verify(b"msg_7.1614265330.{ }", &bytes).is_err());
    }

    #[test]
    fn key_that_came_before_signs_beside_the_newest_until_it_expires() {
        let mut old = key(2);
        old.expires_at = Some(NOW + std::time::Duration::from_secs(1));
        let both = signature(&[key(1), old.clone()]).unwrap();
        assert_eq!(both.split(' ').count(), 4);
        assert!(both.starts_with(&signature(&[key(1)]).unwrap()));
        old.expires_at = Some(NOW);
        assert_eq!(signature(&[key(1), old.clone()]), signature(&[key(1)]));
        assert_eq!(signature(&[old]), None);
    }

    #[test]
    fn secret_is_shown_as_the_specification_writes_it() {
        let shown = secret(&KeyPair::new(*b"0123456789abcdef0123456789abcdef", [0; 32]));
        assert_eq!(shown, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    }

    #[test]
    fn id_leads_back_to_its_webhook_and_other_texts_to_none() {
        assert_eq!(webhook_of(&message_id(WebhookId(112))), Some(WebhookId(112)));
        for text in ["", "msg_", "msg_x", "112", "msg_1.5"] {
            assert_eq!(webhook_of(text), None, "{text}");
        }
    }
}
