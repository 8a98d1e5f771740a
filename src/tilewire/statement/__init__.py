"""What a finished sweep says: device memory at equal accuracy, accuracy at equal memory, with intervals; sizes of finished runs."""
