#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: tintype_fuzz::panics::tell_apart(), |data: &[u8]| tintype_fuzz::picture::read("avif", data));
