//! Names of the headers that SIP defines, with their compact forms.

use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal $lower:literal $(| $compact:literal)?;)*) => {
        /// A header that SIP or one of its extensions defines.
        ///
        /// Headers that are not here are read and written by their text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $(#[$doc])* $name,)*
        }

        impl Name {
            /// The name as it is written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The name for a text in any case, long or compact; `None` for others' headers.
            pub fn from_text(text: &str) -> Option<Self> {
                let mut lower = [0; NAME_BYTES_MAX];
                let lower = lower.get_mut(..text.len())?;
                lower.copy_from_slice(text.as_bytes());
                lower.make_ascii_lowercase();
                match &*lower {
                    $($lower $(| $compact)? => Some(Self::$name),)*
                    _ => None,
                }
            }

            #[cfg(test)]
            const ALL: &'static [(Self, &'static [u8])] = &[$((Self::$name, $lower),)*];
        }
    };
}

/// Octets of the longest name below.
const NAME_BYTES_MAX: usize = 20;

names! {
    Accept = "Accept" b"accept";
    AcceptContact = "Accept-Contact" b"accept-contact" | b"a";
    AcceptEncoding = "Accept-Encoding" b"accept-encoding";
    AcceptLanguage = "Accept-Language" b"accept-language";
    AlertInfo = "Alert-Info" b"alert-info";
    Allow = "Allow" b"allow";
    AllowEvents = "Allow-Events" b"allow-events" | b"u";
    AuthenticationInfo = "Authentication-Info" b"authentication-info";
    Authorization = "Authorization" b"authorization";
    CallId = "Call-ID" b"call-id" | b"i";
    CallInfo = "Call-Info" b"call-info";
    Contact = "Contact" b"contact" | b"m";
    ContentDisposition = "Content-Disposition" b"content-disposition";
    ContentEncoding = "Content-Encoding" b"content-encoding" | b"e";
    ContentLanguage = "Content-Language" b"content-language";
    ContentLength = "Content-Length" b"content-length" | b"l";
    ContentType = "Content-Type" b"content-type" | b"c";
    CSeq = "CSeq" b"cseq";
    Date = "Date" b"date";
    Diversion = "Diversion" b"diversion";
    ErrorInfo = "Error-Info" b"error-info";
    Event = "Event" b"event" | b"o";
    Expires = "Expires" b"expires";
    From = "From" b"from" | b"f";
    HistoryInfo = "History-Info" b"history-info";
    Identity = "Identity" b"identity" | b"y";
    IdentityInfo = "Identity-Info" b"identity-info" | b"n";
    InReplyTo = "In-Reply-To" b"in-reply-to";
    MaxForwards = "Max-Forwards" b"max-forwards";
    MimeVersion = "MIME-Version" b"mime-version";
    MinExpires = "Min-Expires" b"min-expires";
    MinSe = "Min-SE" b"min-se";
    Organization = "Organization" b"organization";
    PAssertedIdentity = "P-Asserted-Identity" b"p-asserted-identity";
    Path = "Path" b"path";
    PPreferredIdentity = "P-Preferred-Identity" b"p-preferred-identity";
    Priority = "Priority" b"priority";
    Privacy = "Privacy" b"privacy";
    ProxyAuthenticate = "Proxy-Authenticate" b"proxy-authenticate";
    ProxyAuthorization = "Proxy-Authorization" b"proxy-authorization";
    ProxyRequire = "Proxy-Require" b"proxy-require";
    RAck = "RAck" b"rack";
    Reason = "Reason" b"reason";
    RecordRoute = "Record-Route" b"record-route";
    ReferredBy = "Referred-By" b"referred-by" | b"b";
    ReferTo = "Refer-To" b"refer-to" | b"r";
    RejectContact = "Reject-Contact" b"reject-contact" | b"j";
    RemotePartyId = "Remote-Party-ID" b"remote-party-id";
    Replaces = "Replaces" b"replaces";
    ReplyTo = "Reply-To" b"reply-to";
    RequestDisposition = "Request-Disposition" b"request-disposition" | b"d";
    Require = "Require" b"require";
    RetryAfter = "Retry-After" b"retry-after";
    Route = "Route" b"route";
    RSeq = "RSeq" b"rseq";
    Server = "Server" b"server";
    ServiceRoute = "Service-Route" b"service-route";
    SessionExpires = "Session-Expires" b"session-expires" | b"x";
    Subject = "Subject" b"subject" | b"s";
    SubscriptionState = "Subscription-State" b"subscription-state";
    Supported = "Supported" b"supported" | b"k";
    Timestamp = "Timestamp" b"timestamp";
    To = "To" b"to" | b"t";
    Unsupported = "Unsupported" b"unsupported";
    UserAgent = "User-Agent" b"user-agent";
    Via = "Via" b"via" | b"v";
    Warning = "Warning" b"warning";
    WwwAuthenticate = "WWW-Authenticate" b"www-authenticate";
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_text_in_any_case() {
        for (name, lower) in Name::ALL {
            assert_eq!(name.as_str().to_ascii_lowercase().as_bytes(), *lower);
            assert_eq!(Name::from_text(name.as_str()), Some(*name));
            assert_eq!(Name::from_text(&name.as_str().to_ascii_uppercase()), Some(*name));
        }
    }

    #[test]
    fn compact_forms_name_the_same_headers() {
        let compact = "a u i m e l c o f y n b r j d x s k t v";
        let names: Vec<_> =
            compact.split(' ').map(|text| Name::from_text(text).unwrap().as_str()).collect();
        assert_eq!(
            names.join(" "),
            "Accept-Contact Allow-Events Call-ID Contact Content-Encoding Content-Length \
             Content-Type Event From Identity Identity-Info Referred-By Refer-To Reject-Contact \
             Request-Disposition Session-Expires Subject Supported To Via"
        );
    }

    #[test]
    fn unknown_and_overlong_names_are_nobodys() {
        for text in ["", "z", "C%6Fntact", "X-Outdial", "A-Name-Of-More-Than-Twenty-Octets"] {
            assert_eq!(Name::from_text(text), None);
        }
    }
}
