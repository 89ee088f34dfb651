//! The strings of the API with a fixed form. Each is a type of its own, so that the schema of a field contains its
//! form. The form is a pattern, which an API server checks too; rules beyond a pattern are checked where the text is
//! parsed.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use regex_lite::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// CEL rule for `metadata.name` of both kinds. It is shorter than Kubernetes requires, because the names of child
/// objects are built from it.
pub const RESOURCE_NAME_RULE: &str =
    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40";

/// Error text for another `metadata.name`.
pub const RESOURCE_NAME_SAYS: &str =
    "metadata.name must be a DNS label that begins with a letter, at most 40 characters long";

/// The form of a string.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// A regular expression that Go and Rust read alike, anchored at both ends.
    pub pattern: &'static str,
    /// Maximum length in characters.
    pub max_length: usize,
    /// Error text for a string of another form.
    pub error_text: &'static str,
}

impl Form {
    /// Returns whether a text has this form.
    pub fn fits(&self, text: &str) -> bool {
        text.chars().count() <= self.max_length
            && Regex::new(self.pattern).is_ok_and(|form| form.is_match(text))
    }
}

/// One attribute of a distinguished name: its short name or OID, and its value, in which special characters have a
/// backslash before them and all but printable ASCII is bytes in hexadecimal.
macro_rules! attribute {
    () => {
        "(CN|SN|GN|C|L|ST|O|OU|DC|UID|street|title|name|initials|serialNumber|postalCode|dnQualifier|emailAddress\
         |businessCategory|organizationIdentifier|jurisdiction(L|ST|C)|[0-9]+(\\.[0-9]+)+)\
         =([ !#-*\\--:=?-\\[\\]-~]|\\\\([ \"#+,;<>\\\\]|[0-9A-F]{2}))*"
    };
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident { pattern: $pattern:expr, max_length: $max:expr, error_text: $error_text:expr $(,)? })*) => {
        /// Forms of all types of text.
        pub const FORMS: &[Form] = &[$($name::FORMAT),*];

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub String);

            impl $name {
                /// The form of the text.
                pub const FORMAT: Form = Form { pattern: $pattern, max_length: $max, error_text: $error_text };
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.to_owned())
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl Deref for $name {
                type Target = str;

                fn deref(&self) -> &str {
                    &self.0
                }
            }

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({
                        "type": "string",
                        "pattern": Self::FORMAT.pattern,
                        "maxLength": Self::FORMAT.max_length,
                    })
                }
            }
        )*
    };
}

forms! {
    /// Name of a source, a destination or a Collector.
    Name {
        pattern: "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        max_length: 40,
        error_text: "must be a name of at most 40 lowercase letters, digits and hyphens, beginning with a letter and \
               not ending with a hyphen",
    }

    /// Expression of a rule or condition. Its grammar and names are checked where it is compiled.
    Expression {
        pattern: "^[^\\x00]+$",
        max_length: 4096,
        error_text: "must be an expression in CEL, at most 4096 characters long",
    }

    /// Name of a namespace.
    Namespace {
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length: 63,
        error_text: "must be a namespace: at most 63 lowercase letters, digits and hyphens, not beginning or ending with a hyphen",
    }

    /// Name of a Secret, safe as the name of a folder.
    SecretName {
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length: 253,
        error_text: "must be a name of lowercase letters, digits, hyphens and dots",
    }

    /// Name of another object.
    ObjectName {
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length: 253,
        error_text: "must be a name of lowercase letters, digits, hyphens and dots",
    }

    /// Name of a Service.
    ServiceName {
        pattern: "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        max_length: 63,
        error_text: "must be the name of a Service: at most 63 lowercase letters, digits and hyphens, beginning with a \
               letter and not ending with a hyphen",
    }

    /// Name of a kind of an API.
    KindName {
        pattern: "^[A-Z][A-Za-z0-9]*$",
        max_length: 63,
        error_text: "must be a kind, such as ClusterIssuer",
    }

    /// Reference to a container image.
    Image {
        pattern: "^[a-zA-Z0-9][-a-zA-Z0-9._:/@]*$",
        max_length: 512,
        error_text: "must be an image, such as registry.example.org/visnyk-relay:1.2.3",
    }

    /// Value of a label.
    LabelValue {
        pattern: "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        max_length: 63,
        error_text: "must be a label value: at most 63 letters, digits, hyphens, underscores and dots",
    }

    /// Value of an annotation.
    AnnotationValue {
        pattern: "^[^\\x00]*$",
        max_length: 16384,
        error_text: "must be text",
    }

    /// Path and query of a request to a Service.
    UrlPath {
        pattern: "^/[^\\s#]*$",
        max_length: 1024,
        error_text: "must be a path that begins with a slash, without spaces or a fragment (#)",
    }

    /// Key in a Secret, safe as the name of a file.
    SecretKey {
        pattern: "^\\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$",
        max_length: 253,
        error_text: "must be a key of a Secret: letters, digits, hyphens, underscores and dots, not beginning with two dots",
    }

    /// DNS name for a certificate.
    DnsName {
        pattern: "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length: 253,
        error_text: "must be a DNS name in lowercase, such as relay.example.org or *.example.org",
    }

    /// Subject of a certificate. A distinguished name is written in one way only, so that two equal ones are the same
    /// text.
    Subject {
        pattern: concat!(
            "^(DNS:[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*|URI:[!-~]+|",
            "(", attribute!(), "([,+]", attribute!(), ")*))$",
        ),
        max_length: 512,
        error_text: "must be a subject as `openssl x509 -noout -subject -nameopt RFC2253` prints it, such as \
               CN=pump,O=Example, or an alternative name such as DNS:pump.example.org or URI:spiffe://example.org/pump",
    }

    /// Exact path of a request.
    RequestPath {
        pattern: "^(/|(/\\.?[-_~A-Za-z0-9][-._~A-Za-z0-9]*)+/?)$",
        max_length: 256,
        error_text: "must be a path that begins with a slash, of letters, digits and - . _ ~, without empty parts",
    }

    /// Name of a header.
    HeaderName {
        pattern: "^[A-Za-z][-_A-Za-z0-9]*$",
        max_length: 128,
        error_text: "must be the name of a header: letters, digits, hyphens and underscores",
    }

    /// Text before a signature in its header.
    HeaderPrefix {
        pattern: "^[ -~]*$",
        max_length: 64,
        error_text: "must be printable ASCII",
    }

    /// Text that is signed.
    SignedPayload {
        pattern: "^([^{}]|\\{body\\}|\\{timestamp\\})*$",
        max_length: 256,
        error_text: "must be text in which the only braces are {body} and {timestamp}",
    }

    /// Value of a header.
    HeaderTemplate {
        pattern: "^([ -z|~]|\\{(id|source|type|received)\\})+$",
        max_length: 512,
        error_text: "must be printable ASCII in which the only braces are {id}, {source}, {type} and {received}",
    }

    /// A status, or a range of them.
    Statuses {
        pattern: "^[2-5][0-9][0-9](-[2-5][0-9][0-9])?$",
        max_length: 7,
        error_text: "must be a status from 200 to 599 such as \"409\", or a range such as \"200-299\"",
    }

    /// SHA-256 of a public key (SPKI), in base64.
    Pin {
        pattern: "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
        max_length: 44,
        error_text: "must be the SHA-256 of a public key, in base64: 44 characters, the last of them =",
    }

    /// Name of a host.
    HostName {
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        max_length: 253,
        error_text: "must be a host name in lowercase, such as relay.example.org",
    }

    /// A scope of OAuth 2.0.
    Scope {
        pattern: "^[!#-\\[\\]-~]+$",
        max_length: 256,
        error_text: "must be a scope: printable ASCII without spaces, quotation marks or backslashes",
    }

    /// Audience of a token.
    Audience {
        pattern: "^[!-~]+$",
        max_length: 1024,
        error_text: "must be printable ASCII without spaces",
    }

    /// A URL as a sender knows it, to which it adds a query.
    PublicUrl {
        pattern: "^https?://[^\\s/?#@\\\\]+(/[^\\s?#]*)?$",
        max_length: 2048,
        error_text: "must be an http or https URL with a host, without user information, query or fragment",
    }

    /// Id that a provider gave to a webhook.
    WebhookId {
        pattern: "^[-_A-Za-z0-9]+$",
        max_length: 128,
        error_text: "must be an id of letters, digits, hyphens and underscores",
    }

    /// Place of an event's id.
    IdExpression {
        pattern: "^(headers\\['[-_a-z0-9]+'\\]|body(\\.[_A-Za-z][_A-Za-z0-9]*|\\['[^'\\\\]+'\\])+)$",
        max_length: 256,
        error_text: "must be a header in lowercase such as headers['x-request-id'], or a field such as body.event.id \
               or body['event-id']",
    }

    /// Path of the log in the data folder. Its ending keeps it from being any other file there.
    LogPath {
        pattern: "^([-_A-Za-z0-9][-._A-Za-z0-9]*/)*[-_A-Za-z0-9][-._A-Za-z0-9]*\\.log$",
        max_length: 200,
        error_text: "must be a path in the data folder that ends in .log; no part of it may begin with a dot",
    }

    /// URL of a receiver.
    HttpUrl {
        pattern: "^https?://[^\\s/?#@\\\\]+([/?][^\\s#]*)?$",
        max_length: 2048,
        error_text: "must be an http or https URL with a host, without user information or fragment",
    }

    /// Range of IP addresses, such as `10.0.0.0/8`.
    Cidr {
        pattern: "^[0-9a-fA-F:.]+/[0-9]{1,3}$",
        max_length: 43,
        error_text: "must be an address range (CIDR) such as 10.0.0.0/8 or fd00::/8",
    }

    /// Whole size in bytes: `512`, `64k`, `1Mi`.
    Quantity {
        pattern: "^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        max_length: 17,
        error_text: "must be a size such as 64Mi or 2Gi: a whole number with Ki, Mi, Gi, Ti, k, M, G, T or no unit",
    }

    /// Duration as Go writes it, in whole units: `15s`, `1h30m`.
    GoDuration {
        pattern: "^([0-9]{1,7}(ms|s|m|h)){1,4}$",
        max_length: 36,
        error_text: "must be a duration such as 500ms, 15s or 1h30m: whole numbers, each with h, m, s or ms (no days: 1d is 24h)",
    }
}

/// Key of a label or annotation, or name of a compute resource.
pub const QUALIFIED_NAME: Form = Form {
    pattern: "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    max_length: 316,
    error_text: "must be a key such as example.org/name",
};

/// Amount of a compute resource.
pub const AMOUNT: Form = Form {
    pattern: "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
    max_length: 32,
    error_text: "must be a quantity such as 200m or 512Mi",
};

/// Returns what a value of this pattern and length must be, in words.
pub fn words(pattern: &str, max_length: u64) -> Option<&'static str> {
    let all = FORMS.iter().chain([&QUALIFIED_NAME, &AMOUNT]);
    let is_it = |form: &&Form| form.pattern == pattern && u64::try_from(form.max_length) == Ok(max_length);
    all.copied().find(|form| is_it(&form)).map(|form| form.error_text)
}

impl Quantity {
    /// Returns the size in bytes; `None` where the text is not a size.
    pub fn bytes(&self) -> Option<u64> {
        let digits = self.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.len());
        let (number, unit) = self.split_at(digits);
        let factor: u64 = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return None,
        };
        Some(number.parse::<u64>().ok()?.saturating_mul(factor))
    }
}

impl GoDuration {
    /// Returns the duration; `None` where the text is not a duration.
    pub fn length(&self) -> Option<Duration> {
        let mut rest = &self[..];
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
            let millis = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            total += Duration::from_millis(number.parse::<u64>().ok()?.saturating_mul(millis));
            rest = tail;
        }
        (!self.is_empty()).then_some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_of_known_units() {
        let bytes = |text: &str| Quantity::from(text).bytes();
        let sizes = ["512", "64k", "3M", "2G", "1T", "1Ki", "32Mi", "1Gi", "2Ti"].map(bytes);
        let expected: [u64; 9] =
            [512, 64_000, 3_000_000, 2_000_000_000, 1_000_000_000_000, 1 << 10, 32 << 20, 1 << 30, 2 << 40];
        assert_eq!(sizes, expected.map(Some));
        assert_eq!(bytes("999999999999999Ti"), Some(u64::MAX), "too much is much, never little");
    }

    #[test]
    fn durations_add_up_their_parts() {
        let millis = |text: &str| GoDuration::from(text).length().map(|length| length.as_millis());
        let spans = ["0s", "500ms", "15s", "5m", "24h", "1h30m", "1m1s1ms"].map(millis);
        assert_eq!(spans, [0, 500, 15_000, 300_000, 86_400_000, 5_400_000, 61_001].map(Some));
    }

    /// Pattern and parser agree about every text that is near a valid one.
    #[test]
    fn what_has_the_form_can_be_parsed_and_nothing_else() {
        let parts = ["", "0", "5", "12", ".", "-", "+", " ", "m", "ms", "s", "h", "Mi", "Ki", "k", "K", "e3"];
        let count = parts.len();
        for number in 0..count.pow(3) {
            let text = [number / count / count, number / count % count, number % count]
                .map(|part| parts[part])
                .concat();
            let fits = GoDuration::FORMAT.fits(&text);
            assert_eq!(GoDuration::from(&*text).length().is_some(), fits, "duration {text:?}");
            if Quantity::FORMAT.fits(&text) {
                assert!(Quantity::from(&*text).bytes().is_some(), "size {text:?}");
            }
        }
    }

    #[test]
    fn forms_keep_file_names_in_their_folder() {
        for bad in ["", ".", "..", "..data", "a/b", "/a", "a b", "a\n", "ä"] {
            assert!(!SecretKey::FORMAT.fits(bad), "key {bad:?}");
            assert!(!SecretName::FORMAT.fits(bad), "name {bad:?}");
            assert!(!LogPath::FORMAT.fits(&format!("{bad}.log")) || bad == "a/b", "path {bad:?}");
        }
        for good in [".dockerconfigjson", "tls.crt", "a", "A_b-c.d"] {
            assert!(SecretKey::FORMAT.fits(good), "key {good:?}");
        }
        for bad in ["webhook.log/", "../webhook.log", "a/../b.log", "a//b.log", "/b.log", "ca.key", ".log"] {
            assert!(!LogPath::FORMAT.fits(bad), "path {bad:?}");
        }
    }

    #[test]
    fn request_paths_are_plain() {
        for good in ["/", "/gitlab", "/hooks/server01", "/hooks/", "/.well-known/hook", "/~a_b-c.d"] {
            assert!(RequestPath::FORMAT.fits(good), "{good:?}");
        }
        for bad in ["", "a", "//", "/a//b", "/..", "/a/../b", "/.", "/a?b", "/a#b", "/a%20b", "/a b", "/ä"] {
            assert!(!RequestPath::FORMAT.fits(bad), "{bad:?}");
        }
    }
}
