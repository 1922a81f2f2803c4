//! The fields of a form as the body of a POST.

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// A body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

impl Form {
    /// As a browser sends a plain form: UTF-8, spaces as plus signs.
    pub(super) fn urlencoded(fields: &[(String, String)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        Self {
            content_type: HeaderValue::from_static("application/x-www-form-urlencoded"),
            body: body.finish().into(),
        }
    }

    /// A text that is JSON.
    pub(super) fn json(text: &str) -> Self {
        Self {
            content_type: HeaderValue::from_static("application/json"),
            body: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    /// As a browser sends a form with parts (RFC 7578).
    pub(super) fn multipart(fields: &[(String, Content)]) -> Self {
        let boundary = boundary(fields);
        let mut form = Vec::new();
        for (name, value) in fields {
            let mut body = String::new();
            body.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\""));
            for sign in name.chars() {
                match sign {
                    '"' => body.push_str("%22"),
                    '\r' => body.push_str("%0D"),
                    '\n' => body.push_str("%0A"),
                    sign => body.push(sign),
                }
            }
            body.push('"');
            if let Content::File { name, media_type, .. } = value {
                body.push_str(&format!("; filename=\"{name}\"\r\nContent-Type: {media_type}"));
            }
            body.push_str("\r\n\r\n");
            form.extend_from_slice(body.as_bytes());
            form.extend_from_slice(value.bytes());
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Self {
            content_type: HeaderValue::from_str(&content_type)
                .expect("a boundary is made of letters, digits and hyphens"),
            body: form.into(),
        }
    }
}

/// What is in one part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A file, with a name and a media type of our own making.
    File { name: &'static str, media_type: String, bytes: Vec<u8> },
    /// A text.
    Text(String),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::File { bytes, .. } => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

/// A boundary that no value contains: nobody can write a text that holds its own hash.
fn boundary(fields: &[(String, Content)]) -> String {
    let mut hash = Sha256::new();
    for (name, value) in fields {
        for part in [name.as_bytes(), value.bytes()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    let digits: String =
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("----outdial-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[(&str, &str)]) -> Vec<(String, Content)> {
        let text =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Content::Text((*value).to_owned()));
        texts.iter().map(text).collect()
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn plain_form_is_encoded_as_browsers_do() {
        let form = Form::urlencoded(&fields(&[("a b", "1&2=3"), ("ü", "+ é\n"), ("", "")]));
        assert_eq!(form.body, "a+b=1%262%3D3&%C3%BC=%2B+%C3%A9%0A&=");
        assert_eq!(form.content_type, "application/x-www-form-urlencoded");
        assert_eq!(Form::urlencoded(&[]).body, "");
    }

    #[test]
    fn form_with_parts_keeps_values_as_they_are() {
        let form = Form::multipart(&texts(&[("a\"\r\nb", "x\r\ny"), ("é", "--")]));
        let content_type = form.content_type.to_str().unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab\"\r\n\r\nx\r\ny\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"é\"\r\n\r\n--\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(form.body, expected);
        assert!(boundary.len() <= 70, "RFC 2046 §5.1.1");
    }

    #[test]
    fn sound_is_a_file_of_its_type_among_the_parts() {
        let sound = vec![0, 0xff, b'\r', b'\n', b'-', b'-'];
        let media_type = "audio/x-wav".to_owned();
        let file = Content::File { name: "recording.wav", media_type, bytes: sound.clone() };
        let form = Form::multipart(&[("message".to_owned(), file)]);
        let content_type = form.content_type.to_str().unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"message\"; \
             filename=\"recording.wav\"\r\nContent-Type: audio/x-wav\r\n\r\n"
        )
        .into_bytes();
        expected.extend(sound);
        expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        assert_eq!(form.body, expected);
    }

    #[test]
    fn boundary_changes_with_what_it_parts() {
        let first = Form::multipart(&texts(&[("a", "bc")]));
        let second = Form::multipart(&texts(&[("ab", "c")]));
        assert_ne!(first.content_type, second.content_type);
        let nested = String::from_utf8(first.body.to_vec()).unwrap();
        let outer = Form::multipart(&[("x".into(), Content::Text(nested))]);
        assert_ne!(outer.content_type, first.content_type);
    }
}
