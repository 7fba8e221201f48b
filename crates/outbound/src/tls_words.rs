//! Failures of TLS in words that say what to do.

use rustls::{AlertDescription, CertificateError, Error};

/// What happened, for people who know certificates and not the library.
pub(crate) fn in_words(error: &Error) -> String {
    let said = match error {
        Error::InvalidCertificate(cause) => certificate_in_words(cause),
        Error::AlertReceived(alert) => alert_in_words(*alert),
        _ => None,
    };
    match said {
        Some(said) => format!("TLS failed: {said} ({error})"),
        None => format!("TLS failed: {error}"),
    }
}

fn certificate_in_words(cause: &CertificateError) -> Option<&'static str> {
    use CertificateError as C;
    Some(match cause {
        C::UnknownIssuer => {
            "the receiver's certificate comes from an authority that isn't trusted; a private authority's own \
             certificate belongs into tls.ca"
        }
        C::Expired | C::ExpiredContext { .. } => "the receiver's certificate has expired",
        C::NotValidYet | C::NotValidYetContext { .. } => "the receiver's certificate isn't valid yet",
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "the receiver's certificate is for another name; where that is meant, it belongs into tls.server_name"
        }
        C::Revoked => "the receiver's certificate was revoked",
        _ => return None,
    })
}

fn alert_in_words(alert: AlertDescription) -> Option<&'static str> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired => {
            "the receiver asks for a client certificate; it belongs into tls.client_certificate"
        }
        A::UnknownCA
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::AccessDenied => "the receiver doesn't take the client certificate",
        A::HandshakeFailure => {
            "the receiver ended the handshake: it may ask for a client certificate, or speak no version of TLS \
             that is spoken here"
        }
        A::UnrecognisedName => "the receiver doesn't know the name that it was asked for",
        A::ProtocolVersion => "the receiver speaks no version of TLS that is spoken here",
        _ => return None,
    })
}
