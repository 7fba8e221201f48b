//! Paths that were written to cost much, on payloads that let them: how long it takes to refuse one, or
//! to evaluate it within its budget: CPU time of the one thread.

use std::time::Duration;

use hookrail_domain::json::Json;
use hookrail_domain::jsonpath::JsonPath;

use crate::{cpu, print};

/// Times that each is tried; the slowest counts.
const TRIES: usize = 5;

/// Measures and prints.
pub(crate) fn measure() -> anyhow::Result<()> {
    let payloads = payloads()?;
    print(
        "path                                             compiled ms   payload           MiB  evaluated ms  nodes",
    );
    for (name, text) in selectors() {
        let (compiled, path) = slowest(|| JsonPath::parse(&text));
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                print(&format!("{name:48} {:>11.2}   refused: {error}", ms(compiled)));
                continue;
            }
        };
        for (what, payload, bytes) in &payloads {
            let (evaluated, found) = slowest(|| path.select(payload).map(|nodes| nodes.len()));
            let found = found.map_or_else(|error| error.to_string(), |count| count.to_string());
            print(&format!(
                "{name:48} {:>11.2}   {what:14} {:>6.2} {:>13.2}  {found}",
                ms(compiled),
                *bytes as f64 / f64::from(1 << 20),
                ms(evaluated),
            ));
        }
    }
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn slowest<T>(mut act: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let before = cpu::of_this_thread();
        let result = act();
        (cpu::of_this_thread().saturating_sub(before), result)
    };
    let (mut longest, mut result) = once();
    for _ in 1..TRIES {
        let again = once();
        longest = longest.max(again.0);
        result = again.1;
    }
    (longest, result)
}

fn selectors() -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    vec![
        (
            "10 KB of nested parentheses",
            format!("$[?{}@.a{}]", "(".repeat(5_000), ")".repeat(5_000)),
        ),
        (
            "nested filters, 200 deep",
            format!("$.a{}{}", "[?@".repeat(200), "]".repeat(200)),
        ),
        (
            "nested filters, 12 deep",
            format!("${}{}", "[?@".repeat(12), "]".repeat(12)),
        ),
        ("[0,0], 24 times", format!("${}", "[0,0]".repeat(24))),
        ("..*, four times", own("$..*..*..*..*")),
        ("..*, twice", own("$..*..*")),
        ("..[?count(@..*)>0]", own("$..[?count(@..*) > 0]")),
        (
            "a pattern of a megabyte compiled",
            own("$[?search(@, '\\\\p{L}{100000}')]"),
        ),
        (
            "a pattern that is slow to match",
            own("$..[?search(@, '[01]*1[01]{900}2')]"),
        ),
        ("patterns read from the payload", own("$..[?match('a', @)]")),
        ("comparing the payload with itself, per node", own("$..[?$ == $]")),
        (
            "function calls, 200 deep",
            format!("$[?{}@{} > 1]", "length(".repeat(200), ")".repeat(200)),
        ),
        ("..id", own("$..id")),
        ("a slice, every item backwards", own("$[::-1]")),
    ]
}

fn payloads() -> anyhow::Result<Vec<(&'static str, Json, usize)>> {
    let objects = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
    let lists = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let numbers = format!("[{}1]", "1,".repeat(1 << 19));
    let orders = vec![r#"{"id":820982911946154508,"lines":[{"id":1,"sku":"a"},{"id":2,"sku":"b"}]}"#; 14_000];
    let texts = format!(r#"["{}","{}"]"#, "01".repeat(1 << 18), "10".repeat(1 << 18));
    let large = format!("[{}]", vec![orders.join(","); 8].join(","));
    [
        ("120 objects", objects),
        ("120 lists", lists),
        ("numbers", numbers),
        ("orders", format!("[{}]", orders.join(","))),
        ("two texts", texts),
        ("many orders", large),
    ]
    .into_iter()
    .map(|(what, text)| Ok((what, text.parse()?, text.len())))
    .collect()
}
