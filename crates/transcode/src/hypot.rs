//! C's `hypot` and `hypotf`, for the crates that draw and for JPEG XL.
//!
//! glibc 2.35 gave them new symbol versions, so a binary that is linked on Debian 12 would not start on Amazon Linux
//! 2023, which has 2.34. Definitions of our own come before the library's. They also make renditions independent of the
//! C library.
#![expect(unsafe_code, reason = "the linker has to find it by its name in C")]

/// The length of the hypotenuse, without overflow on the way (ISO C 7.12.7.4).
// SAFETY: the name is the C standard's for a function of this signature and meaning, and nothing else here defines it.
#[unsafe(no_mangle)]
extern "C" fn hypotf(x: f32, y: f32) -> f32 {
    libm::hypotf(x, y)
}

/// As [`hypotf`].
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn hypot(x: f64, y: f64) -> f64 {
    libm::hypot(x, y)
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_what_the_standard_library_uses_and_do_not_overflow() {
        assert!((3.0_f32.hypot(4.0) - 5.0).abs() < f32::EPSILON);
        assert!((3.0e37_f32.hypot(4.0e37) / 5.0e37 - 1.0).abs() < 1e-6);
        assert!(f32::INFINITY.hypot(f32::NAN).is_infinite());
        assert!((3.0_f64.hypot(4.0) - 5.0).abs() < f64::EPSILON);
        assert!((3.0e307_f64.hypot(4.0e307) / 5.0e307 - 1.0).abs() < 1e-12);
        assert!(f64::INFINITY.hypot(f64::NAN).is_infinite());
    }
}
