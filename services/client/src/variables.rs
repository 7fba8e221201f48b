//! `${NAME}` in a definitions file: the value of an environment variable, so that secrets stay out of git.
//! `$${NAME}` is the text `${NAME}` itself.

use hookrail_domain::json::Json;

/// Puts variables' values in all strings of a document, `look_up` giving them.
///
/// # Errors
/// The names of those that are not set, with where they are.
pub(crate) fn fill_in(
    document: &mut Json,
    look_up: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Vec<String>> {
    let mut missing = Vec::new();
    fill(document, String::new(), look_up, &mut missing);
    match missing.is_empty() {
        true => Ok(()),
        false => Err(missing),
    }
}

fn fill(value: &mut Json, at: String, look_up: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) {
    match value {
        Json::String(text) => match filled(text, look_up) {
            Ok(new) => *text = new,
            Err(name) => missing.push(format!("{at}: the variable {name} is not set")),
        },
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(item, format!("{at}/{index}"), look_up, missing);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                fill(member, format!("{at}/{name}"), look_up, missing);
            }
        }
        _ => {}
    }
}

fn filled(text: &str, look_up: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let Some(name) = name_in(from) else {
            out.push_str("${");
            rest = &from[2..];
            continue;
        };
        let written = name.len() + 3;
        match out.strip_suffix('$').map(str::len) {
            Some(without) => {
                out.truncate(without);
                out.push_str(&from[..written]);
            }
            None => out.push_str(&look_up(name).ok_or_else(|| name.to_owned())?),
        }
        rest = &from[written..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The name in `${NAME}`, with which the text begins.
fn name_in(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.split_once('}')?.0;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let look_up = |name: &str| (name == "CRM").then(|| "s3cret".to_owned());
        let filled = filled(text, &look_up);
        assert_eq!(filled.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn a_variable_is_its_value_and_what_is_none_stays() {
        check("${CRM}", Ok("s3cret"));
        check("Bearer ${CRM}, ${CRM}", Ok("Bearer s3cret, s3cret"));
        check("$${CRM}", Ok("${CRM}"));
        check("$.a ${} ${1} ${a-b} ${", Ok("$.a ${} ${1} ${a-b} ${"));
        check("${NONE}", Err("NONE"));
    }

    #[test]
    fn one_that_is_not_set_is_named_with_its_place() {
        let mut document: Json = r#"{"sources":[{"name":"a","auth":{"token":"${NONE}"}}]}"#
            .parse()
            .unwrap();
        let missing = fill_in(&mut document, &|_| None).unwrap_err();
        assert_eq!(missing, ["/sources/0/auth/token: the variable NONE is not set"]);
    }
}
