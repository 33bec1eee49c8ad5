//! Login of people: to the identity provider, back from it, and out; what a session may do is decided with the keys.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{LOGIN_ATTEMPT_MICROS, LoginSession, LoginStorage, RETURN_TO_BYTES_MAX, SessionSecret};
use dhow_events::{HOUR_MICROS, SECOND_MICROS};
use dhow_login::{Identity, Login, LoginAttempt, LoginError};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::{App, Shared};
use crate::input::Parameters;
use crate::problem::Problem;
use crate::routes::keys::random_bits;
use crate::sessions::{Cookie, check_origin};

/// Where a login goes back to where nothing else is said: the console.
const HOME: &str = "/";

/// Where a login goes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LoginParameters {
    /// The path of this server to go to afterwards; the console where it is absent.
    #[param(example = "/docs")]
    return_to: Option<String>,
}

/// What the identity provider sends a browser back with. What else a provider adds is passed over.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackParameters {
    /// The state that the browser was sent away with.
    state: Option<String>,
    /// What the provider gives for the login.
    code: Option<String>,
    /// Why it gives nothing.
    error: Option<String>,
    /// Which provider it is.
    iss: Option<String>,
}

/// Send a browser to log in.
///
/// It goes to the configured identity provider (OpenID Connect, authorization code with PKCE) and has ten minutes to come
/// back. Where no provider is configured the answer is 404.
#[utoipa::path(
    get, path = "/v1/login", tag = "access", params(LoginParameters),
    responses((status = 303, description = "To the identity provider.")),
)]
pub(crate) async fn get_login(
    State(app): State<Shared>,
    parameters: Parameters<LoginParameters>,
) -> Result<Response, Problem> {
    let login = login_of(&app)?;
    let return_to = parameters.0.return_to.as_deref().unwrap_or(HOME);
    check_return_to(return_to)?;
    let attempt = LoginAttempt::from_random(random_bits().map_err(Problem::internal)?);
    let now = app.engine.clock().now();
    app.engine.store().begin_login(&attempt.hash(), return_to, now, now + LOGIN_ATTEMPT_MICROS).await?;
    let cookie = Cookie::Attempt.given(&attempt.reveal(), LOGIN_ATTEMPT_MICROS / SECOND_MICROS, login.is_secure())?;
    sent_to(&login.authorization_url(&attempt), [cookie])
}

/// Come back from the identity provider.
///
/// The browser gets a session in a cookie that scripts cannot read, and goes where the login began. A login that did not
/// begin in this browser, was used or is over is refused with 400 `login_unknown`, one that the provider refuses or whose
/// identity token is not believed with 401 `login_refused`, a person to whom no role is given with 403 `no_role`.
#[utoipa::path(
    get, path = "/v1/login/callback", tag = "access", params(CallbackParameters),
    responses((status = 303, description = "To where the login began, with a session.")),
)]
pub(crate) async fn get_login_callback(
    State(app): State<Shared>,
    headers: HeaderMap,
    parameters: Parameters<CallbackParameters>,
) -> Result<Response, Problem> {
    let login = login_of(&app)?;
    let CallbackParameters { state, code, error, iss } = parameters.0;
    let attempt = Cookie::Attempt.of(&headers, login.is_secure()).and_then(LoginAttempt::presented);
    let attempt = attempt.ok_or_else(|| unknown("this browser has not begun a login"))?;
    if !state.is_some_and(|state| attempt.is_state(&state)) {
        return Err(unknown("its `state` is not the one that this browser was sent away with"));
    }
    let now = app.engine.clock().now();
    let return_to = app.engine.store().take_login(&attempt.hash(), now).await?;
    let return_to = return_to.ok_or_else(|| unknown("it was used already, or ten minutes are over"))?;
    if let Some(error) = error {
        let word: String = error.chars().filter(char::is_ascii_graphic).take(100).collect();
        return Err(refused(format!("the identity provider refuses the login: `{word}`")));
    }
    let code = code.ok_or_else(|| refused("the identity provider gave no code".to_owned()))?;
    let identity = login.identify(&attempt, &code, iss.as_deref(), now).await.map_err(not_identified)?;
    let (session, secret) = (session_of(login, identity, now)?, SessionSecret::from_random(fresh()?));
    app.engine.store().create_session(&session, &secret.hash()).await?;
    let seconds = session.expires_at.micros_since(now) / SECOND_MICROS;
    let cookies = [
        Cookie::Session.given(secret.reveal(), seconds, login.is_secure())?,
        Cookie::Attempt.given("", 0, login.is_secure())?,
    ];
    sent_to(&return_to, cookies)
}

/// Log out.
///
/// This server ends the session at once, others on the same database within a second. A browser without a session is
/// answered alike. Only pages of this server may send it: anything else is refused with 403 `cross_origin`.
#[utoipa::path(post, path = "/v1/logout", tag = "access", responses((status = 204)))]
pub(crate) async fn post_logout(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let login = login_of(&app)?;
    check_origin(login, request.method(), request.headers())?;
    if let Some(cookie) = Cookie::Session.of(request.headers(), login.is_secure()) {
        app.engine.store().end_session(&SessionSecret::presented(cookie).hash()).await?;
        app.sessions.forget();
    }
    let cookie = Cookie::Session.given("", 0, login.is_secure())?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn fresh() -> Result<[u8; 32], Problem> {
    random_bits().map_err(Problem::internal)
}

fn login_of(app: &App) -> Result<&Login, Problem> {
    let none =
        || Problem::not_found("identity provider to log in at: `[login]` in the server's configuration names one");
    app.login.as_deref().ok_or_else(none)
}

fn unknown(why: &str) -> Problem {
    let detail = format!("this is no login that can be finished: {why}; begin again at /v1/login");
    Problem::new(StatusCode::BAD_REQUEST, "login_unknown", detail)
}

fn refused(detail: String) -> Problem {
    tracing::warn!(detail, "a login was refused");
    Problem::new(StatusCode::UNAUTHORIZED, "login_refused", detail)
}

fn not_identified(error: LoginError) -> Problem {
    match error {
        LoginError::Refused(words) => refused(words),
        LoginError::Provider { .. } | LoginError::Settings(_) => {
            tracing::error!(%error, "nobody can log in");
            Problem::busy(
                "identity_provider_failed",
                "the identity provider does not answer as it should; the log says why",
            )
        }
    }
}

fn session_of(login: &Login, identity: Identity, now: dhow_events::Timestamp) -> Result<LoginSession, Problem> {
    let (settings, Identity { subject, name, roles }) = (login.settings(), identity);
    if roles.is_empty() {
        tracing::warn!(subject, "a person without a role was refused");
        let claim = &settings.role_claim;
        let detail = format!("you are known as {name:?}, and no value of your `{claim}` has a role here");
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_role", detail));
    }
    let expires_at = now + i64::from(settings.session_hours) * HOUR_MICROS;
    Ok(LoginSession { tenant: settings.tenant, subject, person: name, roles, created_at: now, expires_at })
}

/// A path of this server, and nothing that a browser takes for another one's address.
fn check_return_to(path: &str) -> Result<(), Problem> {
    let begins = path.starts_with('/') && !path.starts_with("//");
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if begins && plain && path.len() <= RETURN_TO_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("must be a path of this server that begins with one `/`, of at most {RETURN_TO_BYTES_MAX} bytes");
    Err(Problem::parameter("return_to", message))
}

fn sent_to<const COUNT: usize>(place: &str, cookies: [HeaderValue; COUNT]) -> Result<Response, Problem> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(place).map_err(Problem::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_goes_back_to_a_path_of_this_server_alone() {
        for path in ["/", "/docs", "/docs/#/access", "/v1/orders?state=held&limit=3"] {
            assert!(check_return_to(path).is_ok(), "{path}");
        }
        let long = format!("/{}", "a".repeat(RETURN_TO_BYTES_MAX));
        for path in ["", "docs", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/a b", &long]
        {
            assert!(check_return_to(path).is_err(), "{path}");
        }
    }
}
