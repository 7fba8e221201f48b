//! Reads a process's settings once, at start: flag, then `HOOKRAIL_…`, then the TOML file of `--settings`, then the
//! default. All of them go through clap, so a value is checked and named in the same way wherever it came from.
//!
//! What settings there are is said by clap structs of the binary and the services.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Arg, Command, Parser};

use crate::secret::Secret;
use crate::settings_file::SettingsFile;

/// The exit code for wrong settings (`EX_USAGE` of sysexits.h).
pub const EXIT_WRONG_SETTINGS: i32 = 64;

/// Ends every subcommand's help.
pub const HELP: &str = "Every flag is also an environment variable (--nats-url is HOOKRAIL_NATS_URL) and a key of the TOML file of\n\
    --settings (nats_url). A flag goes before the environment, and the environment before the file. Any variable may\n\
    end in _FILE: then the value is read from the file that it names. Wrong settings end the process with code 64.";

/// Settings that every process has.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonArgs {
    /// A TOML file with settings; unknown keys in it are errors
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    pub settings: Option<PathBuf>,

    /// What to log: error, warn, info, debug or trace; or per module, as `info,hookrail_broker=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", help_heading = "Process")]
    pub log_level: String,

    /// How long a stopping process may take to finish what is in flight, in ms
    #[arg(long, value_name = "MS", default_value_t = 25_000, help_heading = "Process")]
    pub shutdown_grace_ms: u64,
}

/// Why the settings can't be used. Each names the setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A flag, a variable or a file's value that clap refuses; or a wish for help.
    #[error("{0}")]
    Usage(#[from] clap::Error),
    #[error("settings file {path}: {reason}")]
    File { path: String, reason: String },
    #[error("settings file {path}: unknown setting `{key}`{hint}")]
    UnknownKey { path: String, key: String, hint: String },
    #[error("setting --{setting}: {reason}")]
    Invalid { setting: String, reason: String },
}

impl SettingsError {
    /// A setting whose value can't be used, or contradicts another one. `setting` is the flag without `--`.
    #[must_use]
    pub fn invalid(setting: &str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            setting: setting.to_owned(),
            reason: reason.into(),
        }
    }

    /// Says what is wrong on stderr and ends the process with 64; where help was asked for, prints it and ends with 0.
    pub fn report_and_exit(&self) -> ! {
        if let Self::Usage(error) = self {
            let _ = error.print();
            std::process::exit(if error.use_stderr() {
                EXIT_WRONG_SETTINGS
            } else {
                0
            });
        }
        let _ = writeln!(std::io::stderr(), "error: {self}");
        std::process::exit(EXIT_WRONG_SETTINGS);
    }
}

/// Reads the settings of this process, or ends it.
#[must_use]
pub fn read_or_exit<C: Parser>() -> C {
    read(std::env::args_os().collect(), &|name| std::env::var(name).ok())
        .unwrap_or_else(|error| error.report_and_exit())
}

/// Reads settings from `args` (the program's name first) and an environment.
///
/// # Errors
/// [`SettingsError`], which names the setting.
pub fn read<C: Parser>(
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<C, SettingsError> {
    let command = C::command();
    let file = match settings_path(&args, env) {
        Some(path) => SettingsFile::read(&path)?,
        None => SettingsFile::default(),
    };
    file.refuse_unknown(&all_keys(&command))?;
    let mut matches = with_defaults(command, &file, env)?.try_get_matches_from(args)?;
    Ok(C::from_arg_matches_mut(&mut matches)?)
}

/// The file must be known before clap runs, as it gives clap its defaults.
fn settings_path(args: &[OsString], env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let texts: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap_or_default()).collect();
    let inline = texts.iter().find_map(|text| text.strip_prefix("--settings="));
    let separate = || {
        texts
            .windows(2)
            .find(|pair| pair[0] == "--settings")
            .map(|pair| pair[1])
    };
    let flag = inline.or_else(separate).map(PathBuf::from);
    flag.or_else(|| {
        env("HOOKRAIL_SETTINGS")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    })
}

/// Gives every argument the default that the environment or the file says, in this command and those below it.
fn with_defaults(
    mut command: Command,
    file: &SettingsFile,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Command, SettingsError> {
    let mut values = HashMap::new();
    for flag in command.get_arguments().filter_map(setting_of) {
        if let Some(found) = from_environment(flag, env)?.or_else(|| file.values(&key_of(flag))) {
            values.insert(flag.to_owned(), found);
        }
    }
    command = command.mut_args(|arg| with_default(arg, &values));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let mut failure = None;
    for name in names {
        command = command.mut_subcommand(name, |below| {
            let fallback = Command::new(below.get_name().to_owned());
            with_defaults(below, file, env).unwrap_or_else(|error| {
                failure = Some(error);
                fallback
            })
        });
    }
    failure.map_or(Ok(command), Err)
}

fn with_default(arg: Arg, values: &HashMap<String, Vec<String>>) -> Arg {
    let Some(found) = setting_of(&arg).and_then(|flag| values.get(flag)) else {
        return arg;
    };
    let is_secret = arg.get_value_parser().type_id() == clap::builder::ValueParser::new(secret).type_id();
    arg.required(false)
        .hide_default_value(is_secret)
        .default_values(found.clone())
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    text.parse()
}

/// `HOOKRAIL_X`, or the content of the file that `HOOKRAIL_X_FILE` names. An empty variable counts as absent.
fn from_environment(
    flag: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Vec<String>>, SettingsError> {
    let name = format!("HOOKRAIL_{}", key_of(flag).to_uppercase());
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    match (set(&name), set(&format!("{name}_FILE"))) {
        (Some(_), Some(_)) => Err(SettingsError::invalid(
            flag,
            format!("both {name} and {name}_FILE are set"),
        )),
        (Some(value), None) => Ok(Some(vec![value])),
        (None, Some(path)) => read_value(flag, &path).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_value(flag: &str, path: &str) -> Result<Vec<String>, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::invalid(flag, format!("{path}: {error}")))?;
    Ok(vec![text.trim_end_matches(['\r', '\n']).to_owned()])
}

fn all_keys(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(setting_of).map(key_of);
    own.chain(command.get_subcommands().flat_map(all_keys)).collect()
}

/// An argument's long flag, if it is a setting: not help, not the version, not the file itself.
fn setting_of(arg: &Arg) -> Option<&str> {
    arg.get_long()
        .filter(|flag| !matches!(*flag, "help" | "version" | "settings"))
}

fn key_of(flag: &str) -> String {
    flag.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Sub,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        Serve(Serve),
        Other {
            #[arg(long)]
            elsewhere: Option<String>,
        },
    }

    #[derive(Debug, clap::Args)]
    struct Serve {
        #[command(flatten)]
        common: CommonArgs,
        #[arg(long, default_value_t = 32)]
        partitions: u16,
        #[arg(long, value_delimiter = ',')]
        networks: Vec<String>,
        #[arg(long)]
        token: Option<Secret>,
        #[arg(long)]
        fast: bool,
        #[arg(long)]
        needed: String,
    }

    fn read_serve(args: &str, env: &[(&str, &str)]) -> Result<Serve, SettingsError> {
        let args = format!("program serve {args}")
            .split_whitespace()
            .map(OsString::from)
            .collect();
        let lookup = |name: &str| {
            env.iter()
                .find(|pair| pair.0 == name)
                .map(|pair| pair.1.to_owned())
        };
        match read::<Program>(args, &lookup)?.command {
            Sub::Serve(serve) => Ok(serve),
            Sub::Other { .. } => unreachable!("serve was asked for"),
        }
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_file() {
        let (_folder, path) =
            file("partitions = 1\nneeded = \"file\"\nfast = true\nnetworks = [\"a\", \"b\"]\n");
        let from_file = read_serve(&format!("--settings {path}"), &[]).unwrap();
        assert_eq!(
            (from_file.partitions, from_file.needed.as_str(), from_file.fast),
            (1, "file", true)
        );
        assert_eq!(from_file.networks, ["a", "b"]);
        let env = [("HOOKRAIL_PARTITIONS", "2"), ("HOOKRAIL_SETTINGS", path.as_str())];
        assert_eq!(read_serve("", &env).unwrap().partitions, 2);
        assert_eq!(read_serve("--partitions 3", &env).unwrap().partitions, 3);
    }

    #[test]
    fn a_list_in_the_environment_is_split_at_its_commas() {
        let serve = read_serve("--needed x", &[("HOOKRAIL_NETWORKS", "10.0.0.0/8,::1/128")]).unwrap();
        assert_eq!(serve.networks, ["10.0.0.0/8", "::1/128"]);
        assert!(serve.token.is_none() && serve.common.settings.is_none());
    }

    #[test]
    fn a_secret_may_come_from_a_file() {
        let (_folder, path) = file("s3cret\n");
        let serve = read_serve("--needed x", &[("HOOKRAIL_TOKEN_FILE", &path)]).unwrap();
        assert_eq!(serve.token.unwrap().expose(), "s3cret");
        let both = read_serve(
            "--needed x",
            &[("HOOKRAIL_TOKEN_FILE", &path), ("HOOKRAIL_TOKEN", "x")],
        );
        assert!(both.unwrap_err().to_string().contains("--token"));
    }

    #[test]
    fn a_secret_is_not_shown_in_help() {
        let help = read_serve("--needed x --help", &[("HOOKRAIL_TOKEN", "s3cret")])
            .unwrap_err()
            .to_string();
        assert!(help.contains("--token") && !help.contains("s3cret"), "{help}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_hint() {
        let (_folder, path) = file("partition = 1\n");
        let error = read_serve(&format!("--needed x --settings={path}"), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("unknown setting `partition`") && error.contains("`partitions`"),
            "{error}"
        );
    }

    #[test]
    fn a_key_of_another_service_is_no_error() {
        let (_folder, path) = file("elsewhere = \"x\"\n");
        assert!(read_serve(&format!("--needed x --settings {path}"), &[]).is_ok());
    }

    #[test]
    fn a_wrong_value_names_its_setting_wherever_it_came_from() {
        let (_folder, path) = file("partitions = \"many\"\n");
        for (args, env) in [
            ("--needed x --partitions many".to_owned(), vec![]),
            ("--needed x".to_owned(), vec![("HOOKRAIL_PARTITIONS", "many")]),
            (format!("--needed x --settings {path}"), vec![]),
        ] {
            let error = read_serve(&args, &env).unwrap_err().to_string();
            assert!(error.contains("--partitions"), "{error}");
        }
    }

    #[test]
    fn a_missing_setting_and_a_missing_file_are_errors() {
        assert!(read_serve("", &[]).unwrap_err().to_string().contains("--needed"));
        assert!(
            read_serve("--needed x --settings /nowhere/x.toml", &[])
                .unwrap_err()
                .to_string()
                .contains("/nowhere/x.toml")
        );
    }
}
