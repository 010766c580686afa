//! Postgres with pgvector.

use simdex_remote::pgvector::{Environment, Passwords, Postgres, Settings};
use simdex_remote::{Address, Patience};

use super::kind::{self, Engine, NAME, NEIGHBORS, ON_FAILURE, TIMEOUT};
use super::place::{Variables, variable};
use super::{failure, place::Place};
use crate::error::Result;
use crate::index::{Parameter, Parameters};

const VARIABLES: Variables = Variables {
    url: "SIMDEX_PGVECTOR_URL",
    secret: None,
    secret_file: "SIMDEX_PGVECTOR_PASSWORD_FILE",
    example: "postgres://me@localhost:5432/vectors",
};

/// The variable with the addresses of nodes, which may hold passwords.
const NODES_VARIABLE: &str = "SIMDEX_PGVECTOR_NODES";
const NODES: &str = "nodes";
const BUILD_MEMORY: &str = "build-memory";

pub(super) static ENGINE: Engine = Engine {
    name: "pgvector",
    about: "Postgres with pgvector searches its copy; approximate, scores are exact",
    parameters: &[
        Parameter {
            name: "url",
            default: "",
            about: "the server (default: SIMDEX_PGVECTOR_URL), without a password",
            check: kind::any,
        },
        Parameter {
            name: NODES,
            default: "",
            about: "URLs of nodes to spread the rows over, with commas (default: SIMDEX_PGVECTOR_NODES)",
            check: kind::any,
        },
        NAME,
        NEIGHBORS,
        Parameter {
            name: "build-width",
            default: "64",
            about: "width of the search for neighbours while building",
            check: kind::count,
        },
        Parameter {
            name: "search-width",
            default: "100",
            about: "width of searches (hnsw.ef_search)",
            check: search_width,
        },
        Parameter {
            name: BUILD_MEMORY,
            default: "",
            about: "maintenance_work_mem of the build, such as 2GB (default: the server's)",
            check: kind::any,
        },
        TIMEOUT,
        ON_FAILURE,
    ],
    check,
    server,
    default_name,
};

fn check(parameters: &Parameters) -> Result<()> {
    kind::check_addresses(parameters, VARIABLES.url, &[(NODES, NODES_VARIABLE)])
}

fn server(parameters: &Parameters, patience: Patience) -> Result<Box<dyn simdex_remote::Server>> {
    let Place { address, secret_file, trusted, .. } = VARIABLES.place(parameters)?;
    let passwords = passwords(trusted, secret_file);
    let settings = Settings {
        search_width: Some(kind::graph(parameters).search_width.unwrap_or(100)),
        build_memory: parameters.get(BUILD_MEMORY).filter(|text| !text.is_empty()).cloned(),
    };
    let server = Postgres::new(&address, &passwords, patience)
        .and_then(|server| server.with_settings(settings))
        .map_err(|error| failure(&error))?;
    let (nodes, named) = nodes(parameters)?;
    let same = |node: &Address| node.is_same_server(&address);
    let trusted = named || trusted && nodes.iter().all(same);
    kind::boxed(server.with_nodes(&nodes, &self::passwords(trusted, None)))
}

/// The nodes, and whether the environment names them.
fn nodes(parameters: &Parameters) -> Result<(Vec<Address>, bool)> {
    let own = parameters.get(NODES).filter(|text| !text.is_empty()).cloned();
    let read = |list: &str| -> Result<Vec<Address>> {
        let urls = list.split(',').filter(|url| !url.trim().is_empty());
        urls.map(|url| Address::parse(url).map_err(|error| failure(&error))).collect()
    };
    let named = variable(NODES_VARIABLE).map(|list| read(&list)).transpose()?;
    match (own, named) {
        (None, named) => Ok((named.unwrap_or_default(), true)),
        (Some(own), None) => Ok((read(&own)?, false)),
        (Some(own), Some(named)) => {
            let own = read(&own)?;
            let known = |node: &Address| named.iter().find(|named| node.is_same_server(named));
            let trusted = own.iter().all(|node| known(node).is_some());
            let with_password = |node: Address| match known(&node) {
                Some(named) => node.with_password_of(named),
                None => node,
            };
            Ok((own.into_iter().map(with_password).collect(), trusted))
        }
    }
}

/// Passwords for a server that the environment names, or for one that only a definition names.
fn passwords(trusted: bool, file: Option<std::path::PathBuf>) -> Passwords {
    match trusted {
        true => Passwords { file, environment: Environment::Used },
        false => Passwords { file: None, environment: Environment::Ignored },
    }
}

fn search_width(value: &str) -> Result<(), String> {
    match value.parse::<u32>() {
        Ok(1..=1000) => Ok(()),
        _ => Err("it is a whole number from 1 to 1000".into()),
    }
}

fn default_name(owner: &str) -> String {
    format!("simdex_{owner}")
}
