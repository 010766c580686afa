//! Chroma.

use simdex_remote::Patience;
use simdex_remote::chroma::Chroma;

use super::kind::{self, Engine, NAME, NEIGHBORS, ON_FAILURE, TIMEOUT};
use super::place::Variables;
use crate::error::Result;
use crate::index::{Parameter, Parameters};

const VARIABLES: Variables = Variables {
    url: "SIMDEX_CHROMA_URL",
    secret: Some("SIMDEX_CHROMA_TOKEN"),
    secret_file: "SIMDEX_CHROMA_TOKEN_FILE",
    example: "http://localhost:8000",
};

pub(super) static ENGINE: Engine = Engine {
    name: "chroma",
    about: "a Chroma server searches its copy; approximate, scores are exact",
    parameters: &[
        Parameter {
            name: "url",
            default: "",
            about: "the server (default: SIMDEX_CHROMA_URL), without a secret",
            check: kind::any,
        },
        NAME,
        NEIGHBORS,
        Parameter {
            name: "build-width",
            default: "100",
            about: "width of the search for neighbours while building",
            check: kind::count,
        },
        Parameter {
            name: "search-width",
            default: "100",
            about: "width of searches, set when the collection is made",
            check: kind::count,
        },
        TIMEOUT,
        ON_FAILURE,
    ],
    check,
    server,
    default_name,
};

fn check(parameters: &Parameters) -> Result<()> {
    kind::check_addresses(parameters, VARIABLES.url, &[])
}

fn server(parameters: &Parameters, patience: Patience) -> Result<Box<dyn simdex_remote::Server>> {
    let place = VARIABLES.place(parameters)?;
    let token = place.token()?;
    kind::boxed(Chroma::new(&place.address, token, patience))
}

fn default_name(owner: &str) -> String {
    format!("simdex-{owner}")
}
