//! Text that must not leak: wiped when dropped, and without any way to print, compare or serialise it.

use zeroize::Zeroizing;

/// A secret in memory. It has no `Debug`, `Display` or `Serialize`, so no log line or error can hold it by accident.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The text itself; every call of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Secret {
        Secret::new(self.expose().to_owned())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// Picks the inherent constant when the bound holds, the trait's otherwise.
    trait Silent {
        const PRINTS: bool = false;
    }
    impl<T: ?Sized> Silent for T {}
    struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
    impl<T: ?Sized + fmt::Debug> Probe<T> {
        #[allow(dead_code, reason = "only the type String reaches it, in the planted case below")]
        const PRINTS: bool = true;
    }

    #[test]
    fn has_no_debug() {
        const { assert!(Probe::<String>::PRINTS, "the probe sees a Debug where there is one") };
        const { assert!(!<Probe<Secret>>::PRINTS) };
    }
}
