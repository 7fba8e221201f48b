//! The presets: schemes of known senders, each written as an operator would write one of his own,
//! with what its owner has to know. Every file says where its rule comes from.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::scheme::Scheme;

/// A known sender's scheme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What a definition calls it.
    pub name: String,
    /// What else it is called.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The sender.
    pub sender: String,
    /// What a source's secret is, and where it is found at the sender.
    pub secret: String,
    /// The same of `verify_token`, where the sender has one.
    #[serde(default)]
    pub verify_token: Option<String>,
    /// What its handshake is, where it has one.
    #[serde(default)]
    pub handshake: Option<String>,
    /// Whether the sender signs the URL, so that Hookrail has to know it as the sender does.
    #[serde(default)]
    pub signs_url: bool,
    /// The sender's documentation that the rule comes from.
    pub documentation: String,
    /// How its requests are known.
    pub dimensions: Scheme,
}

macro_rules! presets {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!("presets/", $file, ".json")))),*]
    };
}

const FILES: [(&str, &str); 35] = presets![
    "adyen",
    "aws_sns",
    "azure_event_grid",
    "bitbucket",
    "cloudevents",
    "contentful",
    "discord",
    "dropbox",
    "github",
    "gitlab",
    "hubspot",
    "intercom",
    "jira",
    "linear",
    "mailchimp",
    "mailgun",
    "mandrill",
    "mattermost",
    "meta",
    "microsoft_graph",
    "paddle",
    "pagerduty",
    "salesforce",
    "sendgrid",
    "shopify",
    "slack",
    "square",
    "standard_webhooks",
    "stripe",
    "twilio",
    "twitch",
    "woocommerce",
    "xero",
    "zendesk",
    "zoom",
];

/// All presets, by name.
pub static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    let read = |(_, text): &(&str, &str)| serde_json::from_str(text).expect("a test reads every preset");
    let mut presets: Vec<Preset> = FILES.iter().map(read).collect();
    presets.sort_by(|a, b| a.name.cmp(&b.name));
    presets
});

/// The preset with this name, in any case, `-` or nothing in the place of `_`.
pub fn find_preset(name: &str) -> Option<&'static Preset> {
    let wanted = plain(name);
    PRESETS.iter().find(|preset| {
        let names = std::iter::once(&preset.name).chain(&preset.aliases);
        names.into_iter().any(|known| plain(known) == wanted)
    })
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-' | ' '));
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Faults;

    #[test]
    fn every_preset_is_a_scheme_that_an_operator_could_have_written() {
        for (file, text) in FILES {
            let preset: Preset = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(preset.name, file);
            let mut faults = Faults::default();
            preset.dimensions.check("", &mut faults);
            assert_eq!(faults.finish(), Ok(()), "{file}");
            assert!(preset.documentation.starts_with("https://"), "{file}");
            let again: Scheme =
                serde_json::from_str(&serde_json::to_string(&preset.dimensions).unwrap()).unwrap();
            assert_eq!(again, preset.dimensions, "{file}");
        }
    }

    #[test]
    fn no_name_means_two_presets() {
        let mut names: Vec<_> = PRESETS
            .iter()
            .flat_map(|preset| {
                preset
                    .aliases
                    .iter()
                    .chain([&preset.name])
                    .map(|name| plain(name))
            })
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(
            find_preset("Standard-Webhooks").map(|preset| preset.name.as_str()),
            Some("standard_webhooks")
        );
        assert_eq!(find_preset("custom"), None);
    }
}
