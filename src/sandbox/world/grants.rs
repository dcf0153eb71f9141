//! Grants: which apps each user has authorised, and the token that each app has for that user.
//!
//! Everybody has authorised every app from the start. Authorising an app again gives the same token, or a new one after
//! the access was revoked (reference 6.6).

use crate::sandbox::world::population::{Population, Token};

/// The grants of every user, in the users' order.
pub struct Grants(Vec<Vec<Grant>>);

/// The access that one app has to one user.
struct Grant {
    token: Token,
    /// How many tokens came before this one.
    generation: u64,
    is_live: bool,
}

impl Grants {
    pub fn new(population: &Population) -> Grants {
        let grant = |user, app| Grant {
            token: population.token(user, app, 0),
            generation: 0,
            is_live: true,
        };
        let apps = population.apps.len();
        let users = 0..population.users.len();
        Grants(users.map(|user| (0..apps).map(|app| grant(user, app)).collect()).collect())
    }

    /// The app's latest token for the user, live or not.
    pub fn token(&self, user: usize, app: usize) -> Option<&Token> {
        self.find(user, app).map(|grant| &grant.token)
    }

    pub fn is_live(&self, user: usize, app: usize) -> bool {
        self.find(user, app).is_some_and(|grant| grant.is_live)
    }

    /// Whether any app has access to the user.
    pub fn is_any_live(&self, user: usize) -> bool {
        self.0.get(user).is_some_and(|grants| grants.iter().any(|grant| grant.is_live))
    }

    /// Gives the app access.
    pub fn give(&mut self, population: &Population, user: usize, app: usize) {
        if let Some(grant) = self.0.get_mut(user).and_then(|grants| grants.get_mut(app))
            && !grant.is_live
        {
            grant.generation += 1;
            grant.token = population.token(user, app, grant.generation);
            grant.is_live = true;
        }
    }

    pub fn withdraw(&mut self, user: usize, app: usize) {
        if let Some(grant) = self.0.get_mut(user).and_then(|grants| grants.get_mut(app)) {
            grant.is_live = false;
        }
    }

    /// Makes the latest tokens of all apps live, or none of them.
    pub fn set_all(&mut self, user: usize, is_live: bool) {
        self.0.get_mut(user).into_iter().flatten().for_each(|grant| grant.is_live = is_live);
    }

    fn find(&self, user: usize, app: usize) -> Option<&Grant> {
        self.0.get(user)?.get(app)
    }
}
