//! Finds the session description in a message's body.

use bytes::Bytes;

use crate::sip::header::Headers;
use crate::sip::name::Name;
use crate::sip::value::MediaType;

/// Most parts of a multipart body that are looked at; SIP-I has two or three.
const PARTS_MAX: usize = 8;

/// What a body is, as far as we care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    Empty,
    /// Something that is not, and does not contain, a session description.
    Other,
    /// A session description.
    Sdp(Bytes),
}

impl Body {
    /// Reads a body by its Content-Type, Content-Encoding and Content-Disposition.
    pub(super) fn of(headers: &Headers, body: &Bytes) -> Self {
        if body.is_empty() {
            return Self::Empty;
        }
        let is_encoded = headers
            .get(Name::ContentEncoding)
            .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
        match headers.content_type() {
            _ if is_encoded => Self::Other,
            Ok(Some(kind)) if kind.is_sdp() => Self::Sdp(body.clone()),
            Ok(Some(kind)) if kind.kind.as_str().eq_ignore_ascii_case("multipart") => {
                find_part(&kind, body).map_or(Self::Other, Self::Sdp)
            }
            // Some forget to say what it is; nothing but SDP starts like this.
            Ok(None) if body.starts_with(b"v=0") => Self::Sdp(body.clone()),
            Ok(_) | Err(_) => Self::Other,
        }
    }

    /// The session description, if there is one.
    pub(super) fn sdp(self) -> Option<Bytes> {
        match self {
            Self::Sdp(sdp) => Some(sdp),
            Self::Empty | Self::Other => None,
        }
    }
}

/// The first SDP part of a multipart body (RFC 2046 §5.1), as carriers with SIP-I send it.
fn find_part(kind: &MediaType, body: &Bytes) -> Option<Bytes> {
    let boundary = kind.params.text("boundary").filter(|text| !text.is_empty())?;
    let delimiter = format!("--{boundary}");
    let starts = memchr::memmem::find_iter(body, delimiter.as_bytes())
        .filter(|at| *at == 0 || body[..*at].ends_with(b"\n"))
        .take(PARTS_MAX + 1)
        .collect::<Vec<_>>();
    starts.windows(2).find_map(|pair| {
        let part = body.slice(pair[0] + delimiter.len()..pair[1]);
        let head_end = memchr::memmem::find(&part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let is_sdp = head.split("\r\n").any(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.split(';').next().unwrap_or_default().trim();
            name.trim().eq_ignore_ascii_case("content-type")
                && value.eq_ignore_ascii_case("application/sdp")
        });
        // The line break before the next delimiter belongs to the delimiter.
        let end = part.len() - usize::from(part.ends_with(b"\r\n")) * 2;
        let start = head_end + 4;
        (is_sdp && start <= end).then(|| part.slice(start..end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &'static [u8]) -> Body {
        let mut headers = Headers::new();
        if !content_type.is_empty() {
            headers.push(Name::ContentType, content_type);
        }
        Body::of(&headers, &Bytes::from_static(body))
    }

    #[test]
    fn sdp_is_known_by_its_type_or_its_first_line() {
        let sdp = Body::Sdp(Bytes::from_static(b"v=0\r\n"));
        assert_eq!(of("Application/SDP;charset=utf-8", b"v=0\r\n"), sdp);
        assert_eq!(of("", b"v=0\r\n"), sdp);
        assert_eq!(of("", b"hello"), Body::Other);
        assert_eq!(of("text/plain", b"v=0\r\n"), Body::Other);
        assert_eq!(of("garbage", b"v=0\r\n"), Body::Other);
        assert_eq!(of("application/sdp", b""), Body::Empty);
    }

    #[test]
    fn encoded_body_is_not_read() {
        let mut headers = Headers::new();
        headers.push(Name::ContentType, "application/sdp");
        headers.push(Name::ContentEncoding, "gzip");
        assert_eq!(Body::of(&headers, &Bytes::from_static(b"\x1f\x8b")), Body::Other);
    }

    #[test]
    fn sdp_is_found_among_the_parts_of_a_multipart_body() {
        let body = b"preamble\r\n--b1\r\nContent-Type: application/ISUP;version=x\r\n\r\n\x01\x02\
            \r\n--b1\r\nContent-Disposition: session\r\ncontent-type : application/sdp\r\n\r\n\
            v=0\r\no=x\r\n\r\n--b1--\r\n";
        let sdp = Body::Sdp(Bytes::from_static(b"v=0\r\no=x\r\n"));
        assert_eq!(of("multipart/mixed;boundary=b1", body), sdp);
        assert_eq!(of("multipart/mixed;boundary=\"b1\"", body), sdp);
        assert_eq!(of("multipart/mixed", body), Body::Other);
        assert_eq!(of("multipart/mixed;boundary=other", body), Body::Other);
    }

    #[test]
    fn broken_multipart_bodies_hold_nothing() {
        let broken: [&[u8]; 6] = [
            b"--b",
            b"--b\r\n--b",
            b"--b\r\n\r\n--b--",
            b"--b\r\nContent-Type: application/sdp\r\n--b--",
            b"--b--b--b--b--b--b",
            b"\r\n\r\n\r\n",
        ];
        for body in broken {
            assert_eq!(of("multipart/mixed;boundary=b", body), Body::Other, "{body:?}");
        }
        let many = b"--b\r\n".repeat(100_000).leak();
        assert_eq!(of("multipart/mixed;boundary=b", many), Body::Other);
    }
}
