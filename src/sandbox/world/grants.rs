//! Which apps each user has let in, and the token that each app has of them.
//!
//! Everybody has let in every app from the start. Letting an app in again gives the same token, and another one after
//! the access was withdrawn (reference 6.6).

use crate::sandbox::world::population::{Population, Token};

/// The grants of every user, in the users' order.
pub struct Grants(Vec<Vec<Grant>>);

/// What one app has of one user.
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

    /// The app's latest token of the user, live or not.
    pub fn token(&self, user: usize, app: usize) -> Option<&Token> {
        self.find(user, app).map(|it| &it.token)
    }

    pub fn is_live(&self, user: usize, app: usize) -> bool {
        self.find(user, app).is_some_and(|it| it.is_live)
    }

    /// Whether the user has let in any app.
    pub fn is_any_live(&self, user: usize) -> bool {
        self.0.get(user).is_some_and(|it| it.iter().any(|grant| grant.is_live))
    }

    /// Lets the app in.
    pub fn give(&mut self, population: &Population, user: usize, app: usize) {
        if let Some(it) = self.0.get_mut(user).and_then(|it| it.get_mut(app))
            && !it.is_live
        {
            it.generation += 1;
            it.token = population.token(user, app, it.generation);
            it.is_live = true;
        }
    }

    pub fn withdraw(&mut self, user: usize, app: usize) {
        if let Some(it) = self.0.get_mut(user).and_then(|it| it.get_mut(app)) {
            it.is_live = false;
        }
    }

    /// Makes the latest tokens of all apps live, or none of them.
    pub fn set_all(&mut self, user: usize, is_live: bool) {
        self.0.get_mut(user).into_iter().flatten().for_each(|it| it.is_live = is_live);
    }

    fn find(&self, user: usize, app: usize) -> Option<&Grant> {
        self.0.get(user)?.get(app)
    }
}
