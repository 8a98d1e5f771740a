"""The command line. Each verb is a step; heavy imports happen inside the verbs, so that help is instant."""
