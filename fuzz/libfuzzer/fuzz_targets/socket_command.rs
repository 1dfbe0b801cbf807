#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tincan_fuzz::peer::socket_command(data));
