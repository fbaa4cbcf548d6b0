//! From `docker run` to the certificate, where the kernel is asked whose connection it is and where it
//! cannot be.

use dockmaster_tests::{
    Image, Master, Network, Setup,
    measure::{Bounds, Samples, head},
    require,
};

use crate::log::{self, Log};

const SIGN: &str = " enrolled as ";

/// Runs the containers, and prints what they took.
pub(crate) fn measure(bounds: Bounds) {
    if !require("setpriv") {
        return;
    }
    let network = Network::create("evidence");
    let (with, without) = (
        Setup::docker(&[&network]).start(),
        Setup::docker(&[&network]).without_sockets().start(),
    );
    let image = Image::shared();
    let certificate = |master: &Master, taken: &mut Samples| {
        let run = image.run("agent").agent(master, &network, &[]);
        let began = log::now();
        let container = run.start();
        taken.between(began, Log::once(&container, SIGN, 1).time(SIGN));
    };
    // One of each beforehand: what only the first one pays is not measured.
    for master in [&with, &without] {
        certificate(master, &mut Samples::default());
    }
    let (mut asked, mut not_asked) = (Samples::default(), Samples::default());
    for turn in bounds.turns() {
        // Each goes first in half of the pairs.
        if turn % 2 == 0 {
            certificate(&with, &mut asked);
            certificate(&without, &mut not_asked);
        } else {
            certificate(&without, &mut not_asked);
            certificate(&with, &mut asked);
        }
    }
    head("From \"docker run\" to the certificate");
    not_asked.line("without socket evidence");
    asked.line("with socket evidence");
    asked.above(&not_asked).line("difference within a pair");
}
