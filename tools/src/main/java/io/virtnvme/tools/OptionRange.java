package io.virtnvme.tools;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** Ranges of options. The command's main thread. */
public final class OptionRange {
  private OptionRange() {}

  /**
   * Refuses a value outside of {@code least..most}, both inclusive, as a usage error.
   *
   * @param spec of the command that has the option
   * @throws ParameterException with option, value and range
   */
  public static void check(
      final CommandSpec spec,
      final String option,
      final long value,
      final long least,
      final long most) {
    if (value < least || value > most) {
      throw new ParameterException(
          spec.commandLine(),
          option + " out of range: value=" + value + " range=" + least + ".." + most);
    }
  }
}
