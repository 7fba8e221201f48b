use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};

use super::*;

const NOW: Millis = 1_700_000_000_000;

fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// A token of these claims, signed by `sign`.
fn token(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn by_secret(secret: &str) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    move |message| hmac::sign(&key, message).as_ref().to_vec()
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn check_claims(claims: &str, expected: Result<(), JwtError>) {
    let token = token(HS256, claims, by_secret("a shared secret"));
    let keys = [JwtKey::from_secret("a shared secret")];
    let wanted = WantedClaims {
        issuer: Some("erp"),
        audience: Some("hookrail"),
    };
    assert_eq!(check(&token, &keys, wanted, NOW), expected, "{claims}");
}

#[test]
fn a_token_counts_within_its_times_for_its_audience_from_its_issuer() {
    let good = r#"{"iss":"erp","aud":"hookrail","exp":1700000100,"nbf":1699999900}"#;
    check_claims(good, Ok(()));
    check_claims(
        r#"{"iss":"erp","aud":["other","hookrail"],"exp":1700000100.5}"#,
        Ok(()),
    );
    check_claims(r#"{"iss":"erp","aud":"hookrail","exp":1699999950}"#, Ok(()));
    check_claims(
        r#"{"iss":"erp","aud":"hookrail","exp":1699999930}"#,
        Err(JwtError::Expired),
    );
    check_claims(r#"{"iss":"erp","aud":"hookrail"}"#, Err(JwtError::NoExpiry));
    check_claims(
        r#"{"iss":"erp","aud":"hookrail","exp":1700009999,"nbf":1700000100}"#,
        Err(JwtError::NotYet),
    );
    check_claims(
        r#"{"iss":"crm","aud":"hookrail","exp":1700000100}"#,
        Err(JwtError::Issuer),
    );
    check_claims(r#"{"aud":"hookrail","exp":1700000100}"#, Err(JwtError::Issuer));
    check_claims(
        r#"{"iss":"erp","aud":"other","exp":1700000100}"#,
        Err(JwtError::Audience),
    );
    check_claims(r#"{"iss":"erp","exp":1700000100}"#, Err(JwtError::Audience));
    check_claims(
        r#"{"iss":"erp","aud":"hookrail","exp":"1700000100"}"#,
        Err(JwtError::Malformed),
    );
    check_claims("[1]", Err(JwtError::Malformed));
}

fn verdict(token: &str, keys: &[JwtKey]) -> Result<(), JwtError> {
    check(token, keys, WantedClaims::default(), NOW)
}

const CLAIMS: &str = r#"{"exp":1700000100}"#;

#[test]
fn another_secret_or_one_changed_byte_is_refused() {
    let good = token(HS256, CLAIMS, by_secret("one"));
    assert_eq!(verdict(&good, &[JwtKey::from_secret("one")]), Ok(()));
    let rotating = [JwtKey::from_secret("two"), JwtKey::from_secret("one")];
    assert_eq!(verdict(&good, &rotating), Ok(()));
    assert_eq!(
        verdict(&good, &[JwtKey::from_secret("two")]),
        Err(JwtError::Signature)
    );
    for place in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character of a part has bits that say nothing: the same token, written otherwise.
        let same = changed.split('.').zip(good.split('.')).all(|(a, b)| {
            let decoded = |text| URL_SAFE_NO_PAD.decode(text).ok();
            a == b || decoded(a).is_some() && decoded(a) == decoded(b)
        });
        assert!(
            same || verdict(&changed, &[JwtKey::from_secret("one")]).is_err(),
            "{place}"
        );
    }
}

#[test]
fn an_algorithm_that_the_key_is_not_for_is_never_taken() {
    let none = token(r#"{"alg":"none"}"#, CLAIMS, |_| Vec::new());
    assert_eq!(
        verdict(&none, &[JwtKey::from_secret("one")]),
        Err(JwtError::Malformed)
    );
    // A public key must not be taken for a shared secret.
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        pair.as_ref(),
        &SystemRandom::new(),
    )
    .unwrap();
    let set = ec_set(pair.public_key().as_ref());
    let keys = published_keys(set.as_bytes()).unwrap();
    let confused = token(HS256, CLAIMS, |message| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, pair.public_key().as_ref());
        hmac::sign(&key, message).as_ref().to_vec()
    });
    assert_eq!(verdict(&confused, &keys), Err(JwtError::UnknownKey));
    let sign = |message: &[u8]| {
        pair.sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    };
    let good = token(r#"{"alg":"ES256","kid":"k1"}"#, CLAIMS, sign);
    assert_eq!(verdict(&good, &keys), Ok(()));
    let other = token(r#"{"alg":"ES256","kid":"k2"}"#, CLAIMS, sign);
    assert_eq!(verdict(&other, &keys), Err(JwtError::UnknownKey));
    assert!(names_unknown_key(&other, &keys) && !names_unknown_key(&good, &keys));
}

/// A set of one key, with what is not for tokens beside it.
fn ec_set(point: &[u8]) -> String {
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        r#"{{"keys":[{{"kty":"oct","k":"c2VjcmV0","kid":"s"}},{{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}},{{"kty":"?"}},
           {{"kty":"EC","crv":"P-256","kid":"k1","alg":"ES256","use":"sig","x":"{}","y":"{}"}}]}}"#,
        coordinate(&point[1..33]),
        coordinate(&point[33..])
    )
}

#[test]
fn published_keys_are_those_that_tokens_can_be_checked_with() {
    assert_eq!(published_keys(ec_set(&[4; 65]).as_bytes()).unwrap().len(), 1);
    for wrong in ["", "[]", r#"{"keys":1}"#, "<html>"] {
        assert_eq!(
            published_keys(wrong.as_bytes()).err(),
            Some(JwtKeyError::Set),
            "{wrong}"
        );
    }
}

#[test]
fn edwards_keys_are_taken_from_a_set() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
    let keys = published_keys(set.as_bytes()).unwrap();
    let good = token(r#"{"alg":"EdDSA","kid":"any"}"#, CLAIMS, |message| {
        pair.sign(message).as_ref().to_vec()
    });
    assert_eq!(verdict(&good, &keys), Ok(()));
}

/// The examples of RFC 7515, appendices A.2 and A.3.
#[test]
fn the_published_examples_hold() {
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = r#"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;
    let rsa_signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let ec = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let ec_signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let wanted = WantedClaims {
        issuer: Some("joe"),
        audience: None,
    };
    for (set, header, signature) in [
        (rsa, r#"{"alg":"RS256"}"#, rsa_signature),
        (ec, r#"{"alg":"ES256"}"#, ec_signature),
    ] {
        let keys = published_keys(set.as_bytes()).unwrap();
        let token = format!("{}.{PAYLOAD}.{signature}", part(header));
        assert_eq!(
            check(&token, &keys, wanted, 1_300_819_380_000),
            Ok(()),
            "{header}"
        );
        assert_eq!(
            check(&token, &keys, wanted, NOW),
            Err(JwtError::Expired),
            "{header}"
        );
    }
}

#[test]
fn what_is_no_public_key_is_refused() {
    for wrong in [
        "",
        "secret",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ] {
        assert_eq!(JwtKey::from_pem(wrong).err(), Some(JwtKeyError::Pem), "{wrong}");
    }
}
