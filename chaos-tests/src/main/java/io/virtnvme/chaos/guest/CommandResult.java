package io.virtnvme.chaos.guest;

/**
 * What a shell command in the guest gave.
 *
 * @param exitStatus 0 to 255; 128 plus the signal number when a signal ended it
 * @param output standard output and error as they came
 */
public record CommandResult(int exitStatus, String output) {
  /**
   * The output of a command that must have succeeded.
   *
   * @return the output without white space at its ends
   * @throws IllegalStateException when the exit status is not 0
   */
  public String orThrow() {
    if (exitStatus != 0) {
      throw new IllegalStateException(
          "command failed in the guest: exitStatus=" + exitStatus + "\n" + output);
    }
    return output.strip();
  }
}
