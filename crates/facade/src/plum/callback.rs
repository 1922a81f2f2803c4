//! What we send to the client's start_url and result_url, and when it has taken a result.

use domain::contact::Contact;

use super::words;
use crate::zone::Zone;

/// The form that start_url is posted when a call is answered.
///
/// `campaign_parameters` are those of the contact's application.
pub fn start_form(contact: &Contact, campaign_parameters: &str) -> Vec<(String, String)> {
    owned([
        // Of type int there, so without the sign; docs/api/plum.md "Kept quirks".
        ("phone_number", contact.destination.digits()),
        ("call_id", &contact.id.to_string()),
        ("message_reference", &contact.reference),
        ("campaign_parameters", campaign_parameters),
        ("call_parameters", &contact.parameters),
    ])
}

/// The form that result_url is posted when a contact has ended; dates by the clock of `zone`.
pub fn result_form(contact: &Contact, zone: &Zone) -> Vec<(String, String)> {
    let last_attempt = contact.last_attempt_at.map(|at| zone.rfc_822(at)).unwrap_or_default();
    owned([
        ("phone_number", contact.destination.dialed()),
        ("message_reference", &contact.reference),
        ("call_id", &contact.id.to_string()),
        ("result", words::result(contact)),
        ("callee_type", words::callee_type(contact)),
        ("attempts", &contact.attempts.to_string()),
        ("last_attempt_timestamp", &last_attempt),
        ("duration", &contact.duration_s.to_string()),
    ])
}

/// Whether this answer to a result says that the client has it.
///
/// Only a success whose whole body is the text `completed` does: a page that merely exists there
/// has not understood the result.
pub fn accepted(status: u16, body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    (200..300).contains(&status) && body.trim_ascii().eq_ignore_ascii_case(b"completed")
}

fn owned<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, String)> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_is_taken_by_the_text_completed_alone() {
        let taken: [&[u8]; 4] =
            [b"completed", b" Completed\r\n", b"COMPLETED", b"\xef\xbb\xbfcompleted"];
        assert!(taken.iter().all(|body| accepted(200, body)));
    }

    #[test]
    fn result_is_not_taken_by_anything_else() {
        let not_taken: [&[u8]; 5] = [b"", b"ok", b"completed!", b"<p>completed</p>", b"com pleted"];
        assert!(!not_taken.iter().any(|body| accepted(200, body)));
        assert!(!accepted(500, b"completed"));
        assert!(!accepted(302, b"completed"));
    }
}
