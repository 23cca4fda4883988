/**
 * The {@code virtnvme} command: starting a pair, talking to it, showing it, and the demo. Every
 * command runs on the main thread of its own process.
 */
package io.virtnvme.tools;
