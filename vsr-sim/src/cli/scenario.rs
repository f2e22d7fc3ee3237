//! `vsr-sim scenario`: what there is in scenario files, whether they are well formed, and what well formed is.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CliError, Format, USAGE, print, print_record, say};
use crate::campaign::regressions::files_in;
use crate::cluster::key_value::service::KeyValueService;
use crate::report::json::FORMAT;
use crate::report::{sentences, text};
use crate::scenario::file::{self, FileError};
use crate::scenario::{Scenario, schema};

/// What to do with scenarios.
#[derive(Debug, Args)]
pub(super) struct ScenarioArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The titles of all scenarios in a folder and below it.
    List {
        /// Where to look.
        #[arg(value_name = "FOLDER", default_value = "scenarios")]
        folder: PathBuf,
        /// For whom the output is.
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: Format,
    },
    /// One scenario in sentences.
    Show {
        /// The file, the folder of a failure, or `latest`.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Whether files are scenarios: each that is not is said to be wrong, and where.
    Validate {
        /// The files.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// The JSON Schema of scenarios.
    Schema,
}

/// A scenario, as it is listed.
#[derive(Debug, Serialize)]
struct ListRecord {
    format: u32,
    kind: &'static str,
    path: String,
    title: String,
    seed: u64,
    replicas: u8,
    clients: u8,
    steps: usize,
    expect: String,
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &ScenarioArgs) -> Result<u8, CliError> {
    match &args.what {
        What::List { folder, format } => list(folder, *format),
        What::Show { path } => {
            let path = super::resolve(path)?;
            print(&sentences::scenario(&file::read(&path)?))?;
            Ok(0)
        }
        What::Validate { files } => Ok(validate(files)),
        What::Schema => {
            let schema = serde_json::to_string_pretty(&schema::schema())
                .map_err(|error| CliError::Internal(error.to_string()))?;
            print(&(schema + "\n"))?;
            Ok(0)
        }
    }
}

/// Lists what can be read; what cannot is said to be wrong, and makes the command fail.
fn list(folder: &Path, format: Format) -> Result<u8, CliError> {
    let files = files_in(folder)?;
    let mut code = 0;
    let mut listed = Vec::new();
    for path in files {
        match file::read(&path) {
            Ok(scenario) => listed.push((text::path(&path), scenario)),
            Err(error) => {
                say(&CliError::from(error).to_string());
                code = USAGE;
            }
        }
    }
    let width = listed.iter().map(|(path, _)| path.len()).max().unwrap_or_default();
    for (path, scenario) in &listed {
        match format {
            Format::Json => print_record(&record(path, scenario))?,
            Format::Human => print(&format!("{path:width$}  {}\n", sentences::title(scenario)))?,
        }
    }
    Ok(code)
}

fn record(path: &str, scenario: &Scenario) -> ListRecord {
    ListRecord {
        format: FORMAT,
        kind: "scenario",
        path: path.to_owned(),
        title: scenario.title.clone(),
        seed: scenario.seed.number(),
        replicas: scenario.cluster.replicas,
        clients: scenario.cluster.clients,
        steps: scenario.steps.len(),
        expect: scenario.expect.to_string(),
    }
}

/// Looks at all files; says the first thing that is wrong with each.
fn validate(files: &[PathBuf]) -> u8 {
    let first_error = |path: &PathBuf| -> Option<FileError> {
        let errors = file::check(path, &KeyValueService).err()?;
        errors.into_iter().next()
    };
    let mut code = 0;
    for error in files.iter().filter_map(first_error) {
        say(&CliError::from(error).to_string());
        code = USAGE;
    }
    code
}
