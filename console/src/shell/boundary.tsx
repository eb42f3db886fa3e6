import { Component, type ComponentChildren } from "preact";
import { FaultNote } from "../ui/basics.tsx";

interface Props {
  /** Of the page inside. */
  path: string;
  children: ComponentChildren;
}

/** Tells that a page failed. It is not rendered again until one leaves it: it would fail for ever. */
export class Boundary extends Component<Props, { path?: string; fault?: Error }> {
  override componentDidCatch(fault: Error): void {
    this.setState({ path: this.props.path, fault });
  }

  override render(): ComponentChildren {
    const { path, fault } = this.state;
    if (fault === undefined || path !== this.props.path) return this.props.children;
    return <FaultNote fault={fault} onRetry={() => location.reload()} />;
  }
}
