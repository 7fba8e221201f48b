//! A plain HMAC of what goes out, in the forms that receivers of older webhooks check.

use base64::Engine;
use data_encoding::HEXLOWER;
use ring::hmac;

use super::outgoing::BASE64;
use crate::destination::{HmacEncoding, HmacHash, Signed};

/// How a plain HMAC is made and written.
#[derive(Debug, Clone, Copy)]
pub struct HmacForm<'a> {
    /// Its hash.
    pub hash: HmacHash,
    /// Its encoding.
    pub encoding: HmacEncoding,
    /// What stands before it.
    pub prefix: &'a str,
    /// What it is made of.
    pub signed: Signed,
}

/// The signature by one key, whose bytes are the secret's text.
pub fn plain_hmac(form: HmacForm<'_>, secret: &str, timestamp_s: i64, body: &[u8]) -> String {
    let algorithm = match form.hash {
        HmacHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacHash::Sha256 => hmac::HMAC_SHA256,
        HmacHash::Sha512 => hmac::HMAC_SHA512,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret.as_bytes()));
    if form.signed == Signed::TimestampBody {
        context.update(format!("{timestamp_s}.").as_bytes());
    }
    context.update(body);
    let tag = context.sign();
    let text = match form.encoding {
        HmacEncoding::Hex => HEXLOWER.encode(tag.as_ref()),
        HmacEncoding::Base64 => BASE64.encode(tag),
    };
    format!("{}{text}", form.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hash: HmacHash, encoding: HmacEncoding, prefix: &str, signed: Signed, expected: &str) {
        let form = HmacForm {
            hash,
            encoding,
            prefix,
            signed,
        };
        assert_eq!(
            plain_hmac(
                form,
                "It's a Secret to Everybody",
                1_614_265_330,
                b"Hello, World!"
            ),
            expected
        );
    }

    #[test]
    fn every_form_is_the_one_that_another_implementation_makes() {
        use HmacEncoding::{Base64, Hex};
        use HmacHash::{Sha1, Sha256, Sha512};
        // The example of GitHub's documentation.
        check(
            Sha256,
            Hex,
            "sha256=",
            Signed::Body,
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        );
        check(
            Sha1,
            Hex,
            "",
            Signed::Body,
            "01dc10d0c83e72ed246219cdd91669667fe2ca59",
        );
        check(
            Sha512,
            Base64,
            "v0=",
            Signed::TimestampBody,
            "v0=VKO0Bo3c9DGJg0Pq+JR4Pzh2WbmNlnD3l4Vl9rOEvdPDMPSgjnKUnVMfMuQK49MMMewTnX+Z1e2n8YT/vaXEjw==",
        );
        check(
            Sha256,
            Base64,
            "",
            Signed::TimestampBody,
            "83N2oxi4N3MFDp46yMbVmdIlTk9p7ddaFBnLVNxyZPM=",
        );
    }
}
