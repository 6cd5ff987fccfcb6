//! HmacSHA1 and HmacSHA256, the older generation. Reference: `common/05-signature-v1`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{equal, hmac_sha1, hmac_sha256, without_port};

/// The hash under the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// HmacSHA1; the default.
    HmacSha1,
    /// HmacSHA256.
    HmacSha256,
}

impl Method {
    /// The method that `SignatureMethod` names. The page: any other text, and none, means HmacSHA1.
    #[must_use]
    pub fn from_parameter(signature_method: Option<&str>) -> Self {
        match signature_method {
            Some("HmacSHA256") => Self::HmacSha256,
            _ => Self::HmacSha1,
        }
    }
}

/// The signature of a request under `secret_key`. `parameters` are all but `Signature`, decoded, in any
/// order.
#[must_use]
pub fn sign(
    secret_key: &str,
    signature_method: Method,
    http_method: &str,
    host: &str,
    parameters: &[(&str, &str)],
) -> String {
    let mut sorted = Cow::Borrowed(parameters);
    sorted.to_mut().sort_unstable();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("{http_method}{host}/?{}", pairs.join("&"));
    STANDARD.encode(match signature_method {
        Method::HmacSha1 => hmac_sha1(secret_key.as_bytes(), text.as_bytes()),
        Method::HmacSha256 => hmac_sha256(secret_key.as_bytes(), text.as_bytes()),
    })
}

/// Whether `signature` is one of the request under `secret_key`, with the host as received or without its
/// port. A line end behind the signature, which one client library sends, is no part of it.
#[must_use]
pub fn verify(
    secret_key: &str,
    signature_method: Method,
    http_method: &str,
    host: &str,
    parameters: &[(&str, &str)],
    signature: &str,
) -> bool {
    let signature = signature.trim_end_matches(['\r', '\n']);
    [host, without_port(host)]
        .into_iter()
        .any(|host| equal(&sign(secret_key, signature_method, http_method, host, parameters), signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "cvm.tencentcloudapi.com";

    /// The pages' request; they mask the ends of the keys in two ways.
    fn parameters(secret_id: &'static str) -> Vec<(&'static str, &'static str)> {
        vec![
            ("Action", "DescribeInstances"),
            ("SecretId", secret_id),
            ("Timestamp", "1465185768"),
            ("Nonce", "11886"),
            ("Region", "ap-guangzhou"),
            ("InstanceIds.0", "ins-09dx96dg"),
            ("Offset", "0"),
            ("Limit", "20"),
            ("Version", "2017-03-12"),
        ]
    }

    #[test]
    fn the_worked_examples_verify() {
        for (secret_id, secret_key, signature) in [
            (
                "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******",
                "Gu5t9xGARNpq86cd98joQYCN3*******",
                "zmmjn35mikh6pM3V7sUEuX4wyYM=",
            ),
            (
                "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
                "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
                "EliP9YW3pW28FpsEdkXt/+WcGeI=",
            ),
        ] {
            let parameters = parameters(secret_id);
            assert_eq!(sign(secret_key, Method::HmacSha1, "GET", HOST, &parameters), signature);
            assert!(verify(secret_key, Method::HmacSha1, "GET", HOST, &parameters, signature));
            assert!(verify(
                secret_key,
                Method::HmacSha1,
                "GET",
                HOST,
                &parameters,
                &format!("{signature}\n")
            ));
            assert!(!verify(secret_key, Method::HmacSha256, "GET", HOST, &parameters, signature));
            assert!(!verify(secret_key, Method::HmacSha1, "POST", HOST, &parameters, signature));
            assert!(!verify(secret_key, Method::HmacSha1, "GET", "cvm.example", &parameters, signature));
            for index in 0..signature.len() {
                let mut changed = signature.as_bytes().to_vec();
                changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert!(
                    !verify(secret_key, Method::HmacSha1, "GET", HOST, &parameters, &changed),
                    "byte {index}"
                );
            }
            for index in 0..parameters.len() {
                let mut changed = parameters.clone();
                changed[index].1 = "other";
                assert!(
                    !verify(secret_key, Method::HmacSha1, "GET", HOST, &changed, signature),
                    "parameter {index}"
                );
            }
        }
    }

    #[test]
    fn the_order_of_the_parameters_does_not_matter_and_names_sort_by_bytes() {
        let mut parameters: Vec<(&str, &str)> =
            vec![("InstanceIds.2", "a"), ("InstanceIds.12", "b"), ("Zone", "z"), ("abc", "1")];
        let signature = sign("key", Method::HmacSha256, "POST", HOST, &parameters);
        parameters.reverse();
        assert_eq!(sign("key", Method::HmacSha256, "POST", HOST, &parameters), signature);
        let text = format!("POST{HOST}/?InstanceIds.12=b&InstanceIds.2=a&Zone=z&abc=1");
        assert_eq!(STANDARD.encode(hmac_sha256(b"key", text.as_bytes())), signature);
    }

    #[test]
    fn the_port_may_be_left_out() {
        let signature = sign("key", Method::HmacSha1, "GET", "localhost", &[("A", "1")]);
        assert!(verify("key", Method::HmacSha1, "GET", "localhost:9600", &[("A", "1")], &signature));
        assert!(!verify("key", Method::HmacSha1, "GET", "localhost.", &[("A", "1")], &signature));
    }

    #[test]
    fn any_other_signature_method_means_hmac_sha1() {
        assert_eq!(Method::from_parameter(None), Method::HmacSha1);
        assert_eq!(Method::from_parameter(Some("HmacSHA1")), Method::HmacSha1);
        assert_eq!(Method::from_parameter(Some("hmacsha256")), Method::HmacSha1);
        assert_eq!(Method::from_parameter(Some("HmacSHA256")), Method::HmacSha256);
    }
}
