//! Secrets of webhooks, and signatures with them, as in [Standard Webhooks](https://www.standardwebhooks.com).

use super::{auth::random, store::Secrets};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::hmac::{self, HMAC_SHA256};

/// Milliseconds for which a former secret signs, too.
pub(crate) const FORMER: i64 = 86_400_000;

/// Prefix of secrets.
const PREFIX: &str = "whsec_";

/// New secret.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    Ok(format!("{PREFIX}{}", BASE64.encode(random::<32>()?)))
}

/// Signatures of a message: of the current secret, and for some time of the former one.
pub(super) fn signatures(secrets: &Secrets, now: i64, message: &str) -> String {
    let former = secrets.former.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
    let signed = [&secrets.current].into_iter().chain(former).filter_map(|secret| signature(secret, message));
    signed.collect::<Vec<_>>().join(" ")
}

/// Signature of a message; `None` if the secret cannot be read.
fn signature(secret: &str, message: &str) -> Option<String> {
    let key = BASE64.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &key), message.as_bytes());
    Some(format!("v1,{}", BASE64.encode(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // From the specification's own tests.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let message = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        let signed = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(secret, message).as_deref(), Some(signed));
        let secrets = |until| Secrets { current: secret.into(), former: Some((secret.into(), until)) };
        assert_eq!(signatures(&secrets(2), 1, message), format!("{signed} {signed}"));
        assert_eq!(signatures(&secrets(1), 1, message), signed);
    }
}
