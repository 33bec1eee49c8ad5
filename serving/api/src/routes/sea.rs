//! Ways over the sea between ports, and numbers of containers; nothing is booked.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use dhow_engine::Port;
use dhow_shipping::{ContainerCategory, ContainerError, ContainerNumber, SeaPoint, UnLocode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::Parameters;
use crate::problem::Problem;

/// The most passages that a request closes.
const CLOSED_MAX: usize = 50;

/// Which way.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeaRouteParameters {
    /// The UN/LOCODE of the port that it begins at, such as NLRTM.
    from: String,
    /// The UN/LOCODE of the port that it ends at.
    to: String,
    /// Passages that it must not lead through, separated by commas, such as `suez,panama`; at most 50.
    closed: Option<String>,
}

/// A point on the Earth.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct SeaPointBody {
    /// Degrees east; past 180 over the date line.
    longitude: f64,
    /// Degrees north.
    latitude: f64,
}

/// A port.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortAnswer {
    /// Its UN/LOCODE.
    #[schema(value_type = String)]
    code: UnLocode,
    name: String,
    #[schema(value_type = SeaPointBody)]
    point: SeaPoint,
}

/// The shortest way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeaRouteAnswer {
    from: PortAnswer,
    to: PortAnswer,
    /// With the bridges between the ports and the network.
    metres: u64,
    /// Both ports included.
    #[schema(value_type = Vec<SeaPointBody>)]
    points: Vec<SeaPoint>,
    /// The straits and canals that it leads through.
    passages: BTreeSet<String>,
}

/// A number of a container.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContainerAnswer {
    number: String,
    /// The three letters of the owner.
    owner: String,
    /// `container`, `equipment` or `trailer`.
    #[schema(value_type = String)]
    category: ContainerCategory,
    /// The last digit, which fits the others.
    check_digit: char,
}

fn code(name: &str, text: &str) -> Result<UnLocode, Problem> {
    text.parse().map_err(|error: dhow_shipping::SeaError| Problem::parameter(name, error.to_string()))
}

/// Find the shortest way over the sea between two ports.
///
/// On the legs and ports of the server's settings (`[shipping] sea_legs`, `sea_ports`). 404 where a port is not there, 409 where
/// no way leads there but through what is closed.
#[utoipa::path(
    get, path = "/v1/sea-routes", tag = "shipments", params(SeaRouteParameters),
    responses((status = 200, body = SeaRouteAnswer)),
)]
pub(crate) async fn get_sea_routes(
    State(app): State<Shared>,
    _caller: Caller,
    Parameters(parameters): Parameters<SeaRouteParameters>,
) -> Result<Json<SeaRouteAnswer>, Problem> {
    let (from, to) = (code("from", &parameters.from)?, code("to", &parameters.to)?);
    let closed: BTreeSet<String> =
        parameters.closed.iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect();
    if closed.len() > CLOSED_MAX {
        return Err(Problem::parameter("closed", format!("has {} passages; at most {CLOSED_MAX}", closed.len())));
    }
    let (begin, end) = (app.engine.port(&from)?, app.engine.port(&to)?);
    let way = app.engine.sea_way(begin, end, &closed)?;
    let port = |code: UnLocode, port: &Port| PortAnswer { code, name: port.name.clone(), point: port.point };
    Ok(Json(SeaRouteAnswer {
        from: port(from, begin),
        to: port(to, end),
        metres: way.metres,
        points: way.points,
        passages: way.passages,
    }))
}

/// Check the number of a container by ISO 6346.
///
/// 422 where it has another form, or its check digit does not fit.
#[utoipa::path(
    get, path = "/v1/containers/{number}", tag = "shipments",
    params(("number" = String, Path, description = "Three letters, U, J or Z, seven digits, such as CSQU3054383.")),
    responses((status = 200, body = ContainerAnswer)),
)]
pub(crate) async fn get_container(
    _caller: Caller,
    Path(number): Path<String>,
) -> Result<Json<ContainerAnswer>, Problem> {
    let number: ContainerNumber = number.parse().map_err(|error: ContainerError| {
        Problem::invalid([dhow_commerce::FieldProblem::new("/number", error.to_string())])
    })?;
    Ok(Json(ContainerAnswer {
        owner: number.owner().to_owned(),
        category: number.category(),
        check_digit: number.text().chars().next_back().unwrap_or_default(),
        number: number.text().to_owned(),
    }))
}
