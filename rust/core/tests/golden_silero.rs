//! Silero on real speech and noise against onnxruntime, on every instruction set of this machine.
//!
//! `data/PROVENANCE.md` names the source of the reference.

use std::path::Path;

use gradio_webrtc_core::InstructionSet;
use gradio_webrtc_core::vad::{SileroVad, Vad};

/// The largest difference of a probability: the weights are rounded to 14 bits and an exponent
/// (`models/PROVENANCE.md`), and the core and onnxruntime add up in different orders.
const TOLERANCE: f32 = 4e-4;

/// The default threshold for speech: no difference may change a decision.
const DECISION: f32 = 0.5;

/// The recordings in the order of `data/make_golden.py`, under `tests/data`.
const RECORDINGS: [&str; 14] = [
    "asterisk_demo_thanks_16k.flac",
    "asterisk_dir_instr_16k.flac",
    "asterisk_hello_world_16k.flac",
    "asterisk_ss_noservice_16k.flac",
    "asterisk_vm_intro_16k.flac",
    "asterisk_vm_invalid_password_16k.flac",
    "asterisk_vm_newuser_16k.flac",
    "austen_0870_16k.flac",
    "austen_0880_16k.flac",
    "cards_003_16k.flac",
    "cards_005_16k.flac",
    "goforward_16k.flac",
    "noise/babble14_16k.flac",
    "noise/gen_pink_16k.flac",
];

/// Every `step`th sample of a recording.
fn samples(recording: &str, step: usize) -> Vec<f32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let mut reader = claxon::FlacReader::open(folder.join(recording)).expect("a recording");
    let pcm = reader.samples().map(|sample| sample.expect("16 bits"));
    let pcm = pcm.map(|sample| i16::try_from(sample).expect("16 bits"));
    pcm.step_by(step)
        .map(|sample| f32::from(sample) / 32_768.0)
        .collect()
}

/// All probabilities of all recordings.
fn probabilities(set: InstructionSet, sample_rate_hz: u32, recordings: &[Vec<f32>]) -> Vec<f32> {
    let mut vad = SileroVad::with_instruction_set(sample_rate_hz, set).expect("a net");
    let mut probabilities = Vec::new();
    for recording in recordings {
        vad.reset();
        for window in recording.chunks_exact(vad.window_samples()) {
            probabilities.push(vad.probability(window).expect("a whole window"));
        }
    }
    probabilities
}

fn assert_agreement(golden: &[u8], sample_rate_hz: u32, step: usize) {
    let golden: Vec<f32> = golden
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect();
    let recordings = RECORDINGS.map(|recording| samples(recording, step));
    for set in InstructionSet::available() {
        let ours = probabilities(set, sample_rate_hz, &recordings);
        assert_eq!(ours.len(), golden.len());
        let pairs = || ours.iter().zip(&golden);
        let error = pairs()
            .map(|(ours, golden)| (ours - golden).abs())
            .fold(0.0, f32::max);
        assert!(
            error < TOLERANCE,
            "{} at {sample_rate_hz} Hz: {error:e}",
            set.name()
        );
        let flips = pairs().filter(|(ours, golden)| (**ours > DECISION) != (**golden > DECISION));
        assert_eq!(flips.count(), 0, "{} at {sample_rate_hz} Hz", set.name());
    }
}

#[test]
fn the_16_khz_net_agrees_with_onnxruntime() {
    assert_agreement(include_bytes!("data/silero_16k.f32"), 16_000, 1);
}

#[test]
fn the_8_khz_net_agrees_with_onnxruntime() {
    assert_agreement(include_bytes!("data/silero_8k.f32"), 8_000, 2);
}
