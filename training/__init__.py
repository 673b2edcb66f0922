"""Train, judge and package the model; imports broker_plugin, never the other way round."""
