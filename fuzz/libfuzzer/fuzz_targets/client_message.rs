#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tincan_fuzz::protocol::client_message(data));
